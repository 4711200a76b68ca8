# SPDX-License-Identifier: GPL-2.0-only
"""What is made of the benchmark's counts: figures, what counts as dearer, which figures hold where, which function an instruction is in."""

import collections
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True

from vm.lib import bench, qemu, trace
from vm.lib.results import Suite

HERE = {"kernel": "7.2.13", "gcc": "12.2.0", "qemu": "7.2.22"}


def row(added=False, units=1):
	return {"id": "munmap", "title": "t", "unit": "page", "units": units, "added": added, "turns": {
		"none": [[100, 0]], "floor": [[130, 10]], "drm_gpusvm": [[150, 300]],
		"svmirror-2M": [[140, 50], [144, 50], [9000, 52]]}}


class Figures(unittest.TestCase):
	def test_the_cheapest_turn_counts(self):
		self.assertEqual(bench.figure(row(), "svmirror-2M"), 140 + 50)

	def test_the_floor_has_the_calls_of_a_process_without_a_device(self):
		self.assertEqual(bench.figure(row(), "floor"), 100 + 10)

	def test_what_a_device_adds_is_less_what_the_process_pays_alone(self):
		self.assertEqual(bench.figure(row(added=True, units=2), "svmirror-2M"), (140 - 100 + 50) / 2)
		self.assertEqual(bench.figure(row(added=True), "floor"), 10)

	def test_what_was_not_measured_has_no_figure(self):
		self.assertIsNone(bench.figure(row(), "svmirror-64K"))
		self.assertIn(" -", bench.table({"rows": [row(), dict(row(), turns=dict(row()["turns"], more=[[1, 1]]))]}))

	def test_the_table_has_each_contender_and_its_ratio(self):
		text = bench.table({"rows": [row()]})
		self.assertIn("svmirror-2M / drm_gpusvm", text.splitlines()[0])
		self.assertRegex(text.splitlines()[1], r"^munmap .* 110\.0 +450\.0 +190\.0 +0\.42$")


class Judging(unittest.TestCase):
	def judged(self, now, before):
		suite = Suite("bench", "current")
		bench.judge(suite, {"munmap": now}, {"munmap": before}, lambda row, contender: "\ngrown: f +5")
		return suite

	def test_two_per_cent_are_a_failure_and_less_is_none(self):
		self.assertEqual(self.judged({"svmirror-2M": 102.0}, {"svmirror-2M": 100.0}).failed, 0)
		(name, message), = self.judged({"svmirror-2M": 102.1}, {"svmirror-2M": 100.0}).failures
		self.assertEqual(name, "munmap.svmirror-2M")
		self.assertRegex(message, r"row munmap of svmirror-2M is dearer: 102\.1, kept is 100\.0 \(\+2\.1 %\)")
		self.assertIn("grown: f +5", message)

	def test_peers_are_not_judged(self):
		self.assertEqual(self.judged({"drm_gpusvm": 200.0, "floor": 200.0}, {"drm_gpusvm": 100.0, "floor": 100.0}).failed, 0)

	def test_a_row_without_a_kept_figure_or_without_a_new_one_fails(self):
		self.assertEqual(self.judged({"svmirror-2M": 1.0}, {}).failed, 1)
		self.assertEqual(self.judged({}, {"svmirror-2M": 1.0}).failed, 1)


	def test_the_functions_that_grew_are_named(self):
		now, before = collections.Counter({"a": 100, "b": 70, "c": 5, "d": 4}), {"a": 90, "b": 71, "c": 4}
		self.assertEqual(bench.grown(now, before), "grown: a +10, c +1")
		self.assertEqual(bench.grown(now, None), "most are in: a 100, b 70, c 5, d 4")
		self.assertIn("none", bench.grown(collections.Counter(before), before))


class Kept(unittest.TestCase):
	def setUp(self):
		folder = tempfile.TemporaryDirectory()
		self.addCleanup(folder.cleanup)
		patcher = mock.patch.object(bench, "KEPT", pathlib.Path(folder.name) / "figures.json")
		patcher.start()
		self.addCleanup(patcher.stop)

	def test_figures_hold_for_one_environment(self):
		bench.keep(HERE, {"r": {"svmirror-2M": 1.0}}, {"r": {"svmirror-2M": {"f": 1}}})
		self.assertEqual(bench.kept(HERE)["figures"], {"r": {"svmirror-2M": 1.0}})
		self.assertEqual(bench.kept(HERE)["profiles"], {"r": {"svmirror-2M": {"f": 1}}})
		for key in HERE:
			self.assertIsNone(bench.kept(dict(HERE, **{key: "1"})))

	def test_a_newer_release_takes_the_place_of_an_older_one_and_another_kernel_stays(self):
		newer, other = dict(HERE, kernel="7.2.14"), dict(HERE, kernel="7.3.4")
		for each, figures in ((HERE, {}), (other, {"r": 3.0}), (newer, {"r": 2.0})):
			bench.keep(each, figures, {})
		self.assertIsNone(bench.kept(HERE))
		self.assertEqual(bench.kept(newer)["figures"], {"r": 2.0})
		self.assertEqual(bench.kept(other)["figures"], {"r": 3.0})

	def test_without_figures_the_suite_skips_and_says_why(self):
		suite = Suite("bench", "current")
		with mock.patch.object(bench, "environment", lambda _kernel: HERE):
			bench._compare(suite, None, {}, {"rows": [row()]})
		(_, reason), = suite.skips
		self.assertIn("7.2.13", reason)


class Machine(unittest.TestCase):
	def test_its_clock_is_its_instructions(self):
		kernel = mock.Mock(packages=None, image=pathlib.Path("bzImage"))
		files = dict.fromkeys(("ram", "root", "results", "console", "control"), "file")
		argv = qemu.command(kernel, qemu.COUNTING, files, 512, "", counting=True)
		self.assertEqual(argv[argv.index("-smp") + 1], "1")
		self.assertIn("shift=0,sleep=off", argv)
		append = argv[argv.index("-append") + 1].split()
		self.assertLessEqual({"tsc_early_khz=1000000", "tsc=reliable", "norandmaps", "nokaslr"}, set(append))
		with mock.patch.object(qemu, "tsc_khz", lambda: 2000000):
			argv = qemu.command(kernel, qemu.TCG, files, 512, "")
		self.assertEqual(argv[argv.index("-smp") + 1], "2")
		self.assertNotIn("norandmaps", argv[argv.index("-append") + 1])


class Profile(unittest.TestCase):
	SYMBOLS = "ffffffff81000000 T hmm_range_fault\nffffffff81000100 t _ZN3svm6leaves3mapEv\nffffffff81000180 D data\n" \
		"ffffffffa0000000 t svm_bench_mark_begin [svm_bench]\nffffffffa0000010 t svm_bench_mark_end [svm_bench]\n"

	def setUp(self):
		folder = tempfile.TemporaryDirectory()
		self.addCleanup(folder.cleanup)
		self.folder = pathlib.Path(folder.name)
		(self.folder / "kallsyms").write_text(self.SYMBOLS)
		self.symbols = trace.Symbols(self.folder / "kallsyms")

	def counted(self, *addresses, marks=((0xffffffffa0000000, 0xffffffffa0000010),)):
		log = self.folder / "log"
		log.write_text("".join(f"Trace 0: 0x7f00aa [00000000/{address:016x}/0040c0b0/ff000201] \n" for address in addresses)
			+ "something else\n")
		return trace.profile(log, self.symbols, marks)

	def test_only_what_lies_between_the_marks_counts(self):
		self.assertEqual(self.counted(0xffffffff81000000, 0xffffffffa0000000, 0xffffffff81000004, 0xffffffff81000008,
			0xffffffffa0000010, 0xffffffff81000000), {"hmm_range_fault": 2})

	def test_names_are_the_sources(self):
		self.assertEqual(self.counted(0xffffffffa0000000, 0xffffffff81000190, 0x401000),
			{"svm::leaves::map": 1, trace.PROCESS: 1})

	def test_a_program_has_marks_of_its_own(self):
		self.assertEqual(self.counted(0x401000, 0x401010, 0x401020, 0x401030, marks=((0x401000, 0x401020),)), {trace.PROCESS: 1})

	def test_what_the_guest_may_ask(self):
		tracer = trace.Tracer(self.folder / "trace", self.folder / "monitor")
		with mock.patch.object(tracer, "_tell") as tell:
			self.assertEqual(tracer.ask(["begin", "fault-4k.svmirror-2M", "401000", "401020"]), "ok")
			self.assertEqual(tracer.ask(["end"]), "ok")
			self.assertEqual(tell.call_count, 2)
			for bad in (["begin", "../x", "1", "2"], ["begin", "x"], ["quit"], []):
				self.assertIn("unknown", tracer.ask(bad))
			self.assertEqual(tell.call_count, 2)
		self.assertEqual(trace.read_marks(self.folder / "trace" / "fault-4k.svmirror-2M"), (0x401000, 0x401020))


if __name__ == "__main__":
	unittest.main()
