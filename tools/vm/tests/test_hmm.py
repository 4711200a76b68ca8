# SPDX-License-Identifier: GPL-2.0-only
"""The suite `hmm-tests`: which of the kernel's tests belong to it, and what counts as a pass."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True

from vm.lib import hmm
from vm.lib.results import Suite

HEADER = """
#define HMM_DMIRROR_READ		_IOWR('H', 0x00, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_MIGRATE_TO_DEV	_IOWR('H', 0x02, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_SNAPSHOT		_IOWR('H', 0x04, struct hmm_dmirror_cmd)
"""
SERVED = """
#define DMIRROR_READ		_IOWR('H', 0x00, struct dmirror_command)
#define DMIRROR_SNAPSHOT	_IOWR('H', 0x04, struct dmirror_command)
"""
SOURCE = """
static int to_device(int fd,
		     struct hmm_buffer *buffer)
{
	return hmm_dmirror_cmd(fd, HMM_DMIRROR_MIGRATE_TO_DEV, buffer, 1);
}

static int twice(int fd, struct hmm_buffer *buffer)
{
	return to_device(fd, buffer) + to_device(fd, buffer);
}

/*
 * Reads.
 */
TEST_F(hmm, reads)
{
	if (hmm_dmirror_cmd(self->fd, HMM_DMIRROR_READ, buffer, 1)) {
		ASSERT_EQ(0, 1);
	}
}

TEST_F(hmm2, looks)
{
	hmm_dmirror_cmd(self->fd, HMM_DMIRROR_SNAPSHOT, buffer, 1);
}

TEST_F(hmm, migrates)
{
	hmm_dmirror_cmd(self->fd, HMM_DMIRROR_READ, buffer, 1);
	twice(self->fd, buffer);
}
"""
SEES_HUGE = """
TEST_F(hmm, sees_huge)
{
	hmm_dmirror_cmd(self->fd, HMM_DMIRROR_SNAPSHOT, buffer, 1);
	ASSERT_EQ(m[i], HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL |
			HMM_DMIRROR_PROT_WRITE |
			HMM_DMIRROR_PROT_PMD);
}

TEST_F_TIMEOUT(hmm, takes_long, 120)
{
	hmm_dmirror_cmd(self->fd, HMM_DMIRROR_READ, buffer, 1);
}

TEST_F(hmm, sees_both)
{
	hmm_dmirror_cmd(self->fd, HMM_DMIRROR_SNAPSHOT, buffer, 1);
	ASSERT_EQ(m[0], HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL);
	ASSERT_EQ(m[1], HMM_DMIRROR_PROT_PMD);
}
"""
READS, LOOKS, MIGRATES = "hmm.hmm_device_private.reads", "hmm2.hmm2_device_private.looks", "hmm.hmm_device_private.migrates"


class Choice(unittest.TestCase):
	def test_a_test_belongs_if_all_its_ioctls_are_served(self):
		wanted, left_out = hmm.chosen(SOURCE, HEADER, SERVED)
		self.assertEqual(wanted, [READS, LOOKS])
		self.assertEqual(left_out, {MIGRATES: ["MIGRATE_TO_DEV"]}, "by a helper's helper")

	def test_one_ioctl_more_brings_its_tests(self):
		more = SERVED + "#define DMIRROR_TO_DEVICE	_IOWR('H', 0x02, struct dmirror_command)\n"
		self.assertEqual(hmm.chosen(SOURCE, HEADER, more), ([READS, LOOKS, MIGRATES], {}))
		self.assertEqual(hmm.chosen(SOURCE, HEADER, ""), ([], {READS: ["READ"], LOOKS: ["SNAPSHOT"], MIGRATES: ["MIGRATE_TO_DEV", "READ"]}))

	def test_what_cannot_be_had_here_is_said(self):
		self.assertEqual(hmm.chosen(SEES_HUGE, HEADER, SERVED),
			(["hmm.hmm_device_private.sees_both"], {"hmm.hmm_device_private.sees_huge": ["huge pages in device memory"],
				"hmm.hmm_device_private.takes_long": ["more time than an emulated machine has"]}))

	def test_what_dmirror_serves_is_found(self):
		self.assertEqual(set(range(10)), set(hmm.ioctls(hmm.SERVED.read_text()).values()))


class Verdict(unittest.TestCase):
	def judged(self, text, wanted=(READS, LOOKS)):
		suite = Suite(hmm.NAME, "debian-12")
		with tempfile.TemporaryDirectory() as folder:
			path = pathlib.Path(folder) / "hmm-tests.ktap"
			if text is not None:
				path.write_text("TAP version 13\n" + text)
			hmm.judge(suite, wanted, path)
		return suite.passes, [name for name, _ in suite.failures], suite.skips

	def test_passes_count_and_others_results_do_not(self):
		self.assertEqual(self.judged(f"1..4\nok 1 {READS}\nnot ok 2 {MIGRATES}\nok 3 hmm.hmm_device_coherent.reads\nok 4 {LOOKS}\n"),
			([READS, LOOKS], [], []))

	def test_a_failure_is_told_with_what_the_test_said(self):
		suite = Suite(hmm.NAME, "debian-12")
		with tempfile.TemporaryDirectory() as folder:
			path = pathlib.Path(folder) / "hmm-tests.ktap"
			path.write_text(f"1..1\n# hmm-tests.c:155:reads:Expected self->fd (-1) >= 0 (0)\nnot ok 1 {READS}\n")
			hmm.judge(suite, [READS], path)
		self.assertEqual(suite.failures, [(READS, "# hmm-tests.c:155:reads:Expected self->fd (-1) >= 0 (0)")])

	def test_a_skip_is_a_failure(self):
		self.assertEqual(self.judged(f"1..2\nok 1 # SKIP Huge page could not be allocated\nok 2 {LOOKS} # SKIP no node\n"), ([], [READS, LOOKS], []))

	def test_a_variant_without_its_node_is_no_pass(self):
		self.assertEqual(self.judged("1..2\nok 1 hmm.hmm_device_coherent.reads\nok 2 hmm2.hmm2_device_coherent.looks\n"), ([], [READS, LOOKS], []))

	def test_silence_is_a_failure(self):
		for text in ("", f"1..3\nok 1 {READS}\nok 2 {LOOKS}\n", f"ok 1 {READS}\nok 2 {LOOKS}\n"):
			with self.subTest(text):
				self.assertIn("plan", self.judged(text)[1])
		self.assertEqual(self.judged("1..0\n", wanted=()), ([], ["plan"], []))


if __name__ == "__main__":
	unittest.main()
