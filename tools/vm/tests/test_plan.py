# SPDX-License-Identifier: GPL-2.0-only
"""The table of suites and lanes: nothing is left out, nothing runs twice, and the documentation has a copy of it."""

import collections
import concurrent.futures
import os
import pathlib
import re
import sys
import threading
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.dont_write_bytecode = True

from vm.lib import check, guest, host, lanes, plan, results, say
from vm.lib.paths import TOP
from vm.lib.say import Failed


class Plan(unittest.TestCase):
	def test_every_row_can_run(self):
		for row in plan.TABLE:
			with self.subTest(row.suite):
				self.assertTrue(row.why)
				for lane in row.lanes:
					lanes.config(row.config, lanes.one(lane))
				built, row_suites = mock.Mock(packages=None, config=row.config), []
				runner = check.Check([], [])
				with mock.patch.object(runner, "boot", lambda suite, *_: row_suites.append(suite)), \
						mock.patch.object(guest, "demo_input"):
					runner.boot_row(row, built, {})
				self.assertEqual(row_suites, [row.suite])
				self.assertEqual(bool(row.programs), row.suite in guest.SYSTEM_SUITES)
				self.assertEqual(plan.EVICTION in row.programs, row.suite == guest.LITTLE_VRAM)
				self.assertEqual(bool(row.seconds), row.suite == "chaos")

	def test_no_suite_runs_twice_on_one_kernel(self):
		for soak in (False, True):
			for lane in lanes.LANES:
				seen = collections.Counter(row.label for row in plan.rows(lane, soak=soak))
				self.assertEqual([label for label, times in seen.items() if times > 1], [], (lane, soak))

	def test_a_soak_leaves_nothing_out(self):
		for lane in lanes.LANES:
			soak = {row.label: row for row in plan.rows(lane, soak=True)}
			for row in plan.rows(lane):
				self.assertLessEqual(set(row.programs), set(soak[row.label].programs))
				self.assertLessEqual(row.seconds, soak[row.label].seconds)

	def test_ci_runs_each_program_under_all_checks_and_on_the_kernel_of_users(self):
		for config, programs in ((plan.DEBUG, (*plan.PROGRAMS, plan.TABLES, plan.EVICTION)),
				(plan.PREBUILT, (*plan.PROGRAMS, plan.STOCK, plan.TABLES, plan.EVICTION))):
			ran = {program for lane in lanes.LANES for row in plan.rows(lane) if row.config == config for program in row.programs}
			self.assertEqual(ran, set(programs))
		built = re.findall(r"add_executable\((\w+)", (TOP / "tests" / "system" / "CMakeLists.txt").read_text())
		self.assertEqual(set(built), {*plan.PROGRAMS, plan.STOCK, plan.TABLES, plan.EVICTION})

	def test_each_kernel_that_is_built_is_used_with_both_places_somewhere(self):
		suites = {row.suite for row in plan.TABLE if row.config == plan.DEBUG and not row.soak}
		self.assertLessEqual({"system", guest.TABLES_SYSTEM, "kunit", "chaos"}, suites)

	def test_a_suite_that_is_asked_for_runs_where_it_can(self):
		self.assertEqual([row.label for row in plan.rows("debian-13", ["system"])], ["system"])
		self.assertEqual(plan.rows("stock", ["kunit"]), [])
		with mock.patch.object(check.Check, "run"), self.assertRaisesRegex(Failed, "kcsan-kunit"):
			check.run([lanes.one("debian-12")], ["kcsan-kunit"])

	def test_the_documentation_has_the_table(self):
		self.assertIn(plan.document(), (TOP / "Documentation" / "testing.rst").read_text(),
			"copy what plan.document() returns into Documentation/testing.rst")

	def test_on_a_narrow_machine_a_test_has_the_cpus_if_it_looks_at_a_clock(self):
		with mock.patch.object(check, "machines", lambda: 1):
			runner = check.Check([lanes.one("debian-12")], [])
		seen = []

		def look(name):
			return lambda *_: seen.append((name, os.sched_getscheduler(0)))

		def fail(preset, _targets):
			look(f"build {preset}")()
			raise Failed("the compiler's words")
		with mock.patch.multiple(runner, prefetch=mock.DEFAULT, build_programs=mock.DEFAULT, host_suites=look("host"),
				guest_part=look("guest"), patient_suites=look("patient"), races=look("races")) as parts, \
				mock.patch.object(host, "build", fail):
			runner.run()
		parts["prefetch"].assert_not_called()
		self.assertEqual(seen[0], ("host", os.SCHED_OTHER))
		self.assertEqual(sorted(seen[1:-1]),
			[("build tsan", os.SCHED_IDLE), ("guest", os.SCHED_OTHER), ("patient", os.SCHED_IDLE)])
		self.assertEqual(seen[-1], ("races", os.SCHED_OTHER))

	def test_without_a_virtual_machine_nothing_has_to_stand_back(self):
		with mock.patch.object(check, "machines", lambda: 1):
			runner = check.Check([lanes.one("debian-12")], ["docs"])
		seen = []
		with mock.patch.multiple(runner, prefetch=mock.DEFAULT, patient_suites=lambda: seen.append(os.sched_getscheduler(0))):
			runner.run()
		self.assertEqual(seen, [os.SCHED_OTHER])

	def test_no_suite_is_forgotten(self):
		for machines in (1, 2):
			with mock.patch.object(check, "machines", lambda: machines):
				runner = check.Check([], [])
			asked = []
			with mock.patch.multiple(runner, prefetch=mock.DEFAULT, build_programs=mock.DEFAULT, record=mock.DEFAULT,
					at_once=lambda *suites: asked.extend(name for name, _ in suites), wants=lambda name: asked.append(name)), \
					mock.patch.object(os, "nice"):
				runner.run()
			self.assertEqual(set(asked), set(check.SUITES) - set(check.GUEST_SUITES))

	def test_suites_of_one_thread_run_at_once(self):
		meeting = threading.Barrier(2, timeout=30)

		def suite(name):
			def function(soak):
				self.assertTrue(soak)
				meeting.wait()
				return results.Suite(name, "host")
			return function
		with mock.patch.object(check, "machines", lambda: 1):
			runner = check.Check([], ["sim", "fuzz"], soak=True)
		with mock.patch.object(say, "say"):
			runner.at_once(("sim", suite("sim")), ("mutations", lambda soak: self.fail("nobody asked for it")), ("fuzz", suite("fuzz")))
		self.assertEqual([each.suite for each in runner.suites], ["sim", "fuzz"])

	def test_what_an_idle_thread_starts_is_idle_in_its_session_too(self):
		def start():
			os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
			child = say.spawn(["sleep", "60"])
			try:
				group = pathlib.Path(f"/proc/{child.pid}/autogroup")
				return os.sched_getscheduler(child.pid), group.read_text() if group.exists() else "nice 19"
			finally:
				say.end(child)
		with concurrent.futures.ThreadPoolExecutor(1) as pool:
			policy, group = pool.submit(start).result()
		self.assertEqual(policy, os.SCHED_IDLE)
		self.assertIn("nice 19", group)


if __name__ == "__main__":
	unittest.main()
