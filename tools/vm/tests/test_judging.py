# SPDX-License-Identifier: GPL-2.0-only
"""The judges judged: what counts as a failure must, and what looks like one need not."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True

from vm.lib import check, coverage, guestlog, lanes, qemu, results, vm
from vm.lib.say import Failed


class GuestLog(unittest.TestCase):
	def found(self, *lines):
		return guestlog.reports("\n".join(lines))

	def test_reports_are_found(self):
		for text in ("WARNING: CPU: 0 PID: 1 at mm/x.c:1 f+0x1/0x2", "BUG: KASAN: slab-use-after-free in f+0x1",
				"WARNING: possible circular locking dependency detected", "Oops: 0000 [#1] PREEMPT SMP",
				"INFO: task cat:12 blocked for more than 120 seconds.", "WARNING: suspicious RCU usage",
				"UBSAN: shift-out-of-bounds in x.c:1:2", "general protection fault, probably for non-canonical",
				"kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
				"BUG: sleeping function called from invalid context at x.c:1",
				"rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "refcount_t: underflow; use-after-free.",
				"pagealloc: memory corruption", "pagealloc: single bit error",
				"kernel BUG at mm/page_table_check.c:143!", "BUG: Bad page state in process cat  pfn:12345"):
			with self.subTest(text):
				self.assertEqual(len(self.found("[    1.000000] fine", f"[   12.345678] {text}")), 1)

	def test_a_thread_prefix_hides_nothing(self):
		self.assertEqual(len(self.found("[   12.345678][   T17] BUG: KASAN: use-after-free")), 1)

	def test_carriage_returns_hide_nothing(self):
		self.assertEqual(len(self.found("[   12.345678] WARNING: CPU: 0\r")), 1)

	def test_boot_messages_are_no_reports(self):
		self.assertEqual(self.found("[    0.000000] Lock dependency validator: Copyright (c) 2006",
			"[    0.100000] kasan: KernelAddressSanitizer initialized (generic)",
			"[    0.000000] Command line: oops=panic"), [])

	def test_a_frame_of_a_stack_is_no_report(self):
		self.assertEqual(self.found("[    2.000000] kworker/u5:4 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0",
			"[    2.000001]  ? lockdep_hardirqs_on_prepare+0xe2/0x170",
			"[    2.000002]  lockdep_rcu_suspicious+0x1/0x2 [svmirror]"), [])
		self.assertEqual(len(self.found(
			"[    2.000000] WARNING: CPU: 0 PID: 1 at kernel/locking/lockdep.c:1 lockdep_init_map_type+0x1/0x2")), 1)

	def test_a_program_may_say_bug(self):
		self.assertEqual(self.found("BUG: says a test program", "WARNING: so does another"), [])

	def race(self, *frames):
		return [f"[   10.000000] {line}" for line in ("=" * 66, f"BUG: KCSAN: data-race in {frames[0]} / {frames[-1]}", "",
			"write to 0xffff888004a5d0c0 of 8 bytes by task 71 on cpu 1:", *(f" {frame}+0x1/0x2" for frame in frames[:-1]), "",
			"read to 0xffff888004a5d0c0 of 8 bytes by task 72 on cpu 0:", f" {frames[-1]}", "",
			"value changed: 0x0000000000000001 -> 0x0000000000000002", "",
			"Reported by Kernel Concurrency Sanitizer on:", "CPU: 0 UID: 0 PID: 72 Comm: x", "=" * 66)]

	def test_a_race_counts_where_either_stack_is_ours(self):
		first, second = self.race("svm_fault+0x1/0x2 [svmirror]", "folio_mark_dirty"), self.race("a", "work+0x1/0x2 [svgpu]")
		found = self.found(*first, *self.race("a", "b"), *second)
		self.assertEqual(len(found), 2)
		self.assertIn("svm_fault", found[0][0])
		self.assertIn("[svgpu]", "".join(found[1]))
		self.assertNotIn("Reported by", "".join(found[0]))

	def test_races_of_the_kernel_with_itself_are_counted(self):
		log = "\n".join((*self.race("a", "b"), *self.race("c", "svm_x [svmirror]"), *self.race("d", "e")))
		self.assertEqual(guestlog.races_of_others(log), 2)
		self.assertEqual(len(guestlog.reports(log)), 1)

	def test_races_of_sync_objects_are_drms(self):
		ioctl = " svm_drm_ioctl+0x6e/0xd0 [svm_drm]"
		log = "\n".join((*self.race("drm_syncobj_array_wait_timeout.constprop.0", ioctl, "syncobj_wait_syncobj_func.isra.0"),
			*self.race("drm_mm_insert_node", ioctl, "drm_mm_insert_node"), *self.race("syncobj_x", "svgpu_task_end+0x1/0x2 [svgpu]")))
		self.assertEqual(guestlog.races_of_others(log), 1)
		self.assertEqual(len(guestlog.reports(log)), 2)

	def test_races_on_a_notifiers_sequence_are_its_own(self):
		ours = " port_fault+0x143/0x740 [svmirror]"
		waiting, start = "mmu_interval_read_begin", "__mmu_notifier_invalidate_range_start"
		log = "\n".join((*self.race(start, ours, waiting), *self.race(waiting, ours, start),
			*self.race("mmu_interval_notifier_remove", ours, "mn_itree_inv_end"),
			*self.race(start, ours, start), *self.race(waiting, ours, waiting),
			*self.race("svm_interval_event [svmirror]", ours, waiting)))
		self.assertEqual(guestlog.races_of_others(log), 3)
		self.assertEqual(len(guestlog.reports(log)), 3)

	def test_races_on_a_drm_devices_end_are_drms(self):
		remove, ioctl = " svgpu_remove+0x4c/0x110 [svgpu]", " svm_drm_ioctl+0x6e/0xd0 [svm_drm]"
		log = "\n".join((*self.race("drm_dev_unplug", remove, "drm_dev_enter"), *self.race("drm_dev_enter", ioctl, "drm_dev_unplug"),
			*self.race("drm_dev_unplug", remove, "drm_dev_unplug"), *self.race("drm_dev_unplug", remove, "drm_open_helper")))
		self.assertEqual(guestlog.races_of_others(log), 2)
		self.assertEqual(len(guestlog.reports(log)), 2)

	def test_against_an_unknown_the_function_must_be_ours(self):
		stack = [f"[    1.00000{i}]  {line}" for i, line in enumerate((
			"race at unknown origin, with read to 0xffffea00000dfc40 of 8 bytes by task 240 on cpu 1:",
			"hmm_vma_walk_pmd+0x300/0xd10", "svm_fault+0x287/0x390 [svmirror]"))]
		title = "[    1.000000] BUG: KCSAN: data-race in "
		self.assertEqual(self.found(title + "hmm_vma_walk_pmd+0x300/0xd10", *stack), [])
		self.assertEqual(len(self.found(title + "svm_is_host_memory+0x3f/0x180 [svmirror]", *stack)), 1)

	def test_the_race_on_purpose_is_no_fault_and_is_known(self):
		known = self.race("svm_race_on_purpose [svm_kunit]", "svm_race_on_purpose [svm_kunit]")
		other = self.race("svm_race_on_purpose [svm_kunit]", "svm_fault [svmirror]")
		lonely = ["[    1.000000] BUG: KCSAN: data-race in svm_race_on_purpose+0x2e/0x40 [svm_kunit]", "[    1.000001]  svm_x [svm_kunit]"]
		self.assertTrue(guestlog.race_on_purpose("\n".join(known)))
		self.assertEqual(self.found(*lonely), [])
		self.assertFalse(guestlog.race_on_purpose("\n".join((*other, *self.race("a", "b")))))
		self.assertEqual(self.found(*known), [])
		self.assertEqual(guestlog.races_of_others("\n".join(known)), 0)
		self.assertEqual(len(self.found(*other)), 1)

	def test_a_broken_assertion_about_races_counts(self):
		self.assertEqual(len(self.found("[    1.000000] BUG: KCSAN: assert: race in a / b", "[    1.000001]  svm_x [svmirror]")), 1)
		self.assertEqual(len(self.found("[    1.000000] BUG: KCSAN: torn", "[    1.000001]  svm_x [svmirror]")), 1)

	def test_a_race_without_an_end_hides_nothing_after_it(self):
		torn = self.race("a", "b")[:4]
		self.assertEqual(len(self.found(*torn, *self.race("c", "svm_x [svmirror]"))), 1)
		self.assertEqual(len(self.found(*torn, "[   12.000000] WARNING: CPU: 0")), 1)

	def test_a_report_is_quoted_once(self):
		lines = ["[    1.000000] BUG: KASAN: first"] + ["[    1.000001]  KASAN context"] * 5
		self.assertEqual(len(self.found(*lines)), 1)


class Reading(unittest.TestCase):
	def setUp(self):
		self.folder = tempfile.TemporaryDirectory()
		self.addCleanup(self.folder.cleanup)
		self.suite = results.Suite("s", "host")

	def file(self, text):
		path = pathlib.Path(self.folder.name, "file")
		path.write_text(text)
		return path

	def counts(self):
		return self.suite.passed, self.suite.failed, self.suite.skipped

	def test_ktap_counts_the_innermost(self):
		results.read_ktap(self.suite, self.file(
			"KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: one\n    1..3\n    ok 1 a\n"
			"    # b: EXPECTATION FAILED at x.c:1\n    not ok 2 b\n    ok 3 c # SKIP no device\nnot ok 1 one\n"), "one")
		self.assertEqual(self.counts(), (1, 1, 1))
		self.assertEqual(self.suite.failures[0][0], "one.b")
		self.assertIn("x.c:1", self.suite.failures[0][1])

	def test_ktap_parameters_count_one_by_one(self):
		results.read_ktap(self.suite, self.file(
			"1..1\n    # Subtest: one\n    1..1\n        # Subtest: p\n        ok 1 x\n        ok 2 y\n"
			"    ok 1 p\nok 1 one\n"), "one")
		self.assertEqual(self.counts(), (2, 0, 0))

	def test_ktap_failure_of_the_whole_counts(self):
		results.read_ktap(self.suite, self.file("1..1\n    # Subtest: one\n    ok 1 a\nnot ok 1 one\n"), "one")
		self.assertEqual(self.counts(), (1, 1, 0))

	def ktap(self, text):
		self.suite = results.Suite("s", "host")
		results.read_ktap(self.suite, self.file(text), "one")
		return self.counts()

	def test_a_ktap_plan_must_be_kept(self):
		three = "ok 1 a\nok 2 b\nok 3 c\n"
		self.assertEqual(self.ktap("1..3\n" + three), (3, 0, 0))
		self.assertEqual(self.ktap("1..10\n" + three), (3, 1, 0))
		self.assertEqual(self.suite.failures, [("one.plan", "10 results were promised, 3 came")])
		self.assertEqual(self.ktap("1..2\n" + three), (3, 1, 0))
		self.assertEqual(self.ktap(three + "1..3\n")[1], 1)     # a plan comes first here
		self.assertEqual(self.ktap("1..1\n    # Subtest: p\n    1..3\n    ok 1 a\n    ok 2 b\nok 1 p\n"), (2, 1, 0))
		self.assertEqual(self.ktap("1..2\n    1..1\n    ok 1 a\nok 1 p\n    1..1\n    ok 1 a\nok 2 q\n"), (2, 0, 0))
		self.assertEqual(self.ktap("1..1\n    1..2\nok 1 p\n"), (0, 1, 0))

	def test_a_ktap_file_without_any_plan_or_without_its_end_fails(self):
		self.assertEqual(self.ktap("ok 1 a\n"), (1, 1, 0))
		self.assertEqual(self.ktap("KTAP version 1\n"), (0, 1, 0))
		self.assertEqual(self.ktap("1..1\n    ok 1 a\n")[1], 2)    # nor did the outer result come
		self.assertEqual(self.ktap("1..1\nok 1 a\nBail out! no memory\n"), (1, 1, 0))

	def test_a_status_that_no_failed_test_explains_is_a_failure(self):
		log = self.file("Segmentation fault\n")
		self.assertEqual(self.suite.require_status(0, log).failed, 0)
		self.assertEqual(self.suite.require_status(139, log).failures[0][0], "exit status")
		self.assertIn("Segmentation fault", self.suite.failures[0][1])
		self.assertEqual(self.suite.require_status(1, log).failed, 1)

	def test_junit_that_we_write_has_every_test(self):
		self.suite.add("a", "passed")
		self.suite.add("b", "failed", "why\0")
		self.suite.add("c", "skipped", "no device")
		path = pathlib.Path(self.folder.name, "junit.xml")
		results.write_junit(self.suite, path)
		again = results.Suite("again", "host")
		self.assertTrue(results.read_junit(again, path))
		self.assertEqual((again.passes, again.failures, again.skips),
			(["s.a"], [("s.b", "why?")], [("s.c", "no device")]))

	def test_a_test_counts_once_and_its_runs_apart(self):
		unit, tsan, other = results.Suite("unit", "host"), results.Suite("unit-tsan", "host"), results.Suite("kunit", "current")
		unit.add("a", "passed")
		unit.add("b", "passed")
		unit.add("c", "skipped", "no device")
		tsan.add("a", "passed")
		tsan.add("b", "failed", "why")
		tsan.add("c", "skipped", "no device")
		other.add("a", "passed")
		self.assertEqual(results.runs([unit, tsan, other]), (4, 1, 2))
		self.assertEqual(results.tests([unit, tsan, other]), (2, 1, 1))
		self.assertEqual(results.count_lines([unit, tsan, other]),
			["runs: 4 passed, 1 failed, 2 skipped", "2 passed, 1 failed, 1 skipped"])
		kinds = {results.Suite(name, "x").kind for name in ("system", "system-tables-system", "kcsan-system")}
		self.assertEqual(kinds, {"system"})

	def test_junit_of_googletest_and_ctest(self):
		self.assertTrue(results.read_junit(self.suite, self.file(
			'<testsuites><testsuite><testcase name="a" classname="S" status="run" result="completed"/>'
			'<testcase name="b" classname="S" result="completed"><failure message="no"/></testcase>'
			'<testcase name="c" classname="S" result="skipped"><skipped message="x.cpp:7&#x0A;no disk"/></testcase>'
			'<testcase name="d" classname="d" status="fail"><failure message="Failed"/></testcase>'
			'<testcase name="e" classname="e" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>'
			"<system-out>[ RUN      ] e\nx.cpp:9: Skipped\nno net\n[  SKIPPED ] e</system-out></testcase>"
			"</testsuite></testsuites>")))
		self.assertEqual(self.counts(), (1, 2, 2))
		self.assertEqual(self.suite.skips, [("S.c", "no disk"), ("e", "no net")])

	def test_a_skip_without_a_reason_fails(self):
		self.assertTrue(results.read_junit(self.suite, self.file(
			'<testsuite><testcase name="a" classname="S" result="skipped"><skipped message="x.cpp:7&#x0A;"/></testcase>'
			'<testcase name="b" classname="S" result="skipped"/></testsuite>')))
		results.read_ktap(self.suite, self.file("1..2\nok 1 a # SKIP\nok 2 b # SKIP no device\n"), "one")
		self.assertEqual(self.counts(), (0, 3, 1))
		self.assertEqual(self.suite.skips, [("one.b", "no device")])

	def test_a_torn_junit_is_no_result(self):
		self.assertFalse(results.read_junit(self.suite, self.file("<testsuites><testsuite>")))
		self.assertEqual(self.counts(), (0, 0, 0))

	def test_silence_fails(self):
		self.suite.require_results("nowhere")
		self.assertEqual(self.counts(), (0, 1, 0))

	def test_check_json(self):
		self.suite.add("a", "passed")
		path = self.file("")
		results.write_json([self.suite], path)
		self.assertEqual(json.loads(path.read_text()), {"suites": [{"suite": "s", "lane": "host", "passed": 1,
			"failed": 0, "skipped": 0, "seconds": 0.0}], "tests": {"passed": 1, "failed": 0, "skipped": 0},
			"runs": {"passed": 1, "failed": 0, "skipped": 0}})


	def test_the_table_has_every_number(self):
		self.suite.add("a", "passed")
		self.suite.add("b", "failed", "why")
		self.suite.add("c", "skipped", "no device")
		self.suite.seconds = 61.26
		self.assertEqual(results.table([self.suite]).splitlines()[1].split(), ["s", "host", "1", "1", "1", "61.3"])
		other = results.Suite("t", "current")
		other.add("c", "skipped", "no device")
		self.assertEqual(results.skip_lines([self.suite, other]), ["skipped: c (s on host, t on current): no device"])

		self.assertEqual(results.failure_lines([self.suite, other]), ["FAILED: b (s on host)"])

	def test_mutations(self):
		self.assertEqual(results.read_mutations(pathlib.Path(self.folder.name, "none")), [])
		with self.assertRaisesRegex(Failed, "is no JSON"):
			results.read_mutations(self.file("[{"))
		read = results.read_mutations(self.file('[{"fault": "early free", "caught_by": "oracle", "steps": 12},'
			' {"fault": "lost bit", "caught_by": null, "steps": 900}]'))
		self.assertEqual([line.split() for line in results.mutation_table(read).splitlines()[1:]],
			[["early", "free", "oracle", "12"], ["lost", "bit", "NOT", "CAUGHT", "900"]])


class Coverage(unittest.TestCase):
	def line(self, number, count, **more):
		return {"line_number": number, "count": count, **more}

	def test_a_template_counts_once(self):
		lines = [self.line(1, 0), self.line(1, 5), self.line(2, 0), self.line(3, 0), self.line(5, 0), self.line(6, 1),
			self.line(7, 0, **{"gcovr/noncode": True})]
		report = coverage.read({"files": [{"file": "mm/a.cpp", "lines": lines}]}, ["mm/a.cpp", "mm/b.cpp"])
		self.assertEqual(report, {"percent": 40.0, "lines": 5, "covered": 2, "left": {"mm/a.cpp": "2-3, 5"},
			"missing": ["mm/b.cpp"]})
		self.assertEqual(coverage.text_of(report), "coverage of mm/ by host tests: 40.00 % of 5 lines; "
			"left: mm/a.cpp:2-3, 5; mm/b.cpp: in no host test")

	def test_no_lines_are_no_coverage(self):
		self.assertEqual(coverage.read({"files": []}, [])["percent"], 0.0)


class Lanes(unittest.TestCase):
	def chosen(self, text):
		return [lane.name for lane in lanes.chosen(text)]

	def test_names_and_all(self):
		self.assertEqual(self.chosen("all"), ["debian-12", "debian-13", "current", "stock"])
		self.assertEqual(self.chosen("current, debian-12"), ["current", "debian-12"])

	def test_none_is_taken_twice(self):
		self.assertEqual(self.chosen("debian-13,debian-12 debian-13"), ["debian-13", "debian-12"])

	def test_default_follows_ci(self):
		with mock.patch.dict(os.environ):       # as it was afterwards
			os.environ.pop("CI", None)
			self.assertEqual(len(self.chosen("")), 1)
			os.environ["CI"] = "true"
			self.assertEqual(len(self.chosen("")), 4)

	def test_an_unknown_lane_is_an_error(self):
		with self.assertRaisesRegex(Failed, "no lane 'debian-11'"):
			lanes.chosen("debian-11")


class Machines(unittest.TestCase):
	"""Several virtual machines at a time."""

	def number(self, text):
		with mock.patch.dict(os.environ, VMS=text):
			return check.machines()

	def test_the_number_is_what_vms_says(self):
		self.assertEqual(self.number("3"), 3)
		self.assertGreaterEqual(self.number(""), 1)
		for text in ("0", "-1", "many"):
			with self.subTest(text), self.assertRaises(Failed):
				self.number(text)

	def test_ram_of_dead_runners_goes_and_of_living_ones_stays(self):
		dead = subprocess.Popen(["true"])
		dead.wait()
		with tempfile.TemporaryDirectory() as home:
			home = pathlib.Path(home)
			for name in (f"{dead.pid}-debian-12-debug-kunit", f"{dead.pid}", f"{os.getpid()}-debian-12-debug-kunit", "other"):
				(home / f"{qemu.RAM_NAME}{name}").touch()
			vm._clear_stale_ram(home)
			self.assertEqual(sorted(left.name.removeprefix(qemu.RAM_NAME) for left in home.iterdir()),
				sorted([f"{os.getpid()}-debian-12-debug-kunit", "other"]))

	def test_who_waits_for_a_child_ends_when_the_tool_does(self):
		tools = pathlib.Path(__file__).resolve().parents[2]
		script = (f"import concurrent.futures, pathlib, sys, time; sys.path.insert(0, {str(tools)!r})\n"
			"from vm.lib import say\n"
			"pool = concurrent.futures.ThreadPoolExecutor(2)\n"
			"for _ in range(4): pool.submit(say.run, 'sleep', ['sleep', '60'], pathlib.Path('/dev/null'))\n"
			"time.sleep(0.5)\n"
			"say.end_children()\n")
		began = time.monotonic()
		subprocess.run([sys.executable, "-B", "-c", script], check=True, timeout=50)
		self.assertLess(time.monotonic() - began, 30)


if __name__ == "__main__":
	unittest.main()
