# SPDX-License-Identifier: GPL-2.0-only
"""`make check`: the suites on the host and those that plan.py has for the chosen lanes; `make soak`: with all its rows.

Where the machine is wide enough for several virtual machines, they run at the same time; the host's suites run beside
them and the kernels of all chosen lanes are made in the background, both at low priority. Else one thing runs at a
time, and a kernel is made when its turn comes: a build in the background would only take the time of the others.
"""

import concurrent.futures
import contextlib
import os
import sys
import time

from . import bench, coverage, fuzz, guest, hmm, host, kernel, lanes, modules, plan, preload, results, say, sim, vm
from .paths import JOBS, OUT, TOP
from .results import Suite
from .say import Failed, Skipped

MUTATIONS = OUT / "mutations.json"
GUEST_SUITES = plan.GUEST_SUITES
SUITES = ("tools", "unit", "coverage", "unit-tsan", "sim", "mutations", "fuzz", "thread-safety", "model", "docs", "checkpatch",
	*GUEST_SUITES)
# What one virtual machine takes with all that belongs to it; as much is for the host's suites.
VM_CPUS, VM_KIB = 2, 2560 << 10


def machines():
	"""How many virtual machines run at a time; VMS= says otherwise."""
	with open("/proc/meminfo") as info:
		free = next(int(line.split()[1]) for line in info if line.startswith("MemAvailable:"))
	return guest.number("VMS", max(1, min(JOBS // VM_CPUS, free // VM_KIB) - 1), 1)


def preload_source(built):
	"""The kernel's selftests: of the lane's source, or for a prebuilt kernel of the lane that has the same one."""
	return kernel.source(lanes.one(lanes.default())).path if built.packages else built.source


class Check:
	def __init__(self, chosen, only, soak=False):
		self.chosen = chosen
		self.soak = soak
		self.only = only            # names of suites, or empty for all
		self.suites = []
		self.left_out = []          # (lane, reason)
		self.programs_ready = False
		self.coverage = None        # what coverage.suite() found
		self.machines = machines()
		self.pool = concurrent.futures.ThreadPoolExecutor(self.machines)
		self.boots = []             # (suite, lane, its future)

	def wants(self, name):
		return not self.only or name in self.only

	def record(self, *suites):
		for suite in suites:
			self.suites.append(suite)
			say.say(f"{suite.suite} on {suite.lane}: {suite.passed} passed, {suite.failed} failed, "
				f"{suite.skipped} skipped in {say.duration(suite.seconds)}")
			for name, message in suite.failures:
				say.say(f"  FAILED {suite.suite}/{name}" + "".join(f"\n    {line}"
					for line in message.splitlines()[:60]))

	def rows(self, lane):
		return plan.rows(lane.name, self.only, self.soak)

	def prefetch(self):
		"""Make the kernels in the background, one after the other."""
		script = "; ".join(f"'{TOP}/tools/vm/kernel' {lane.name} {config}"
			for lane in self.chosen for config in plan.configs(self.rows(lane)))
		OUT.mkdir(exist_ok=True)
		sink = open(OUT / "prefetch.log", "wb")
		return say.spawn(["nice", "-n", "10", "sh", "-c", script], stdout=sink, stderr=sink)

	def host_suites(self):
		if self.wants("tools"):
			self.record(host.tools())
		if self.wants("unit"):
			self.record(host.unit(coverage.PRESET, self.soak))
		if self.wants("coverage"):
			suite, self.coverage = coverage.suite()
			self.record(suite)
		if self.wants("mutations"):
			self.record(sim.mutations())

	def races(self):
		if self.wants("unit-tsan"):
			self.record(host.unit("tsan", self.soak))

	def at_once(self, *suites):
		"""Those that keep one CPU busy at a time for the most part, and that build in different folders."""
		wanted = [function for name, function in suites if self.wants(name)]
		with concurrent.futures.ThreadPoolExecutor(len(suites)) as pool:
			for suite in pool.map(lambda function: function(self.soak), wanted):
				self.record(suite)

	def patient_suites(self):
		"""Those in which no test looks at a clock."""
		if self.wants("model"):
			self.record(host.model(self.soak))
		if self.wants("thread-safety"):
			self.record(host.thread_safety())
		if self.wants("docs"):
			self.record(host.docs())
		self.checkpatch()
		self.at_once(("sim", sim.simulation), ("fuzz", fuzz.suite))

	def checkpatch(self):
		"""Needs a kernel's source, of whichever chosen lane can be had; the distribution's if none has any."""
		if not self.wants("checkpatch"):
			return
		for lane in [lane for lane in self.chosen if not lane.prebuilt] or [lanes.one(lanes.default())]:
			try:
				self.record(host.checkpatch(kernel.source(lane).path))
				return
			except Skipped:
				continue
			except Failed as error:
				self.record(self.broken("checkpatch", "host", error))
				return

	def boot(self, suite, built, function, *arguments):
		"""One run of a virtual machine, when it is its turn; function returns the Suite."""
		self.boots.append((guest.named(built, suite), built.lane, self.pool.submit(function, built, *arguments)))

	def collect(self):
		for name, lane, future in self.boots:
			try:
				self.record(future.result())
			except Failed as error:
				self.record(self.broken(name, lane, error))
		self.boots = []

	def lane_boots(self, lane, config):
		"""One lane's kernel; a build of ours that fails is a failed suite, a kernel that cannot be had is not."""
		built = kernel.kernel(lane, config)
		here = [row for row in self.rows(lane) if row.config == config]
		try:
			ours = bench.built_modules(built) if any(row.suite == plan.BENCH for row in here) else modules.build(built)
		except Failed as error:
			self.record(self.broken(guest.named(built, "modules"), lane.name, error))
			return
		for row in here:
			if self.programs_ready or row.suite in plan.BARE:
				self.boot_row(row, built, ours)

	def boot_row(self, row, built, ours):
		match row.suite:
			case "kunit":
				self.boot(row.suite, built, guest.kunit, ours)
			case plan.HMM:
				self.boot(row.suite, built, hmm.suite_of, ours)
			case name if name in guest.SYSTEM_SUITES:
				self.boot(row.suite, built, guest.system, ours, row.suite, row.programs)
			case "demo":
				self.boot(row.suite, built, guest.demo_suite, ours, guest.demo_input())
			case "chaos":
				self.boot(row.suite, built, guest.chaos, ours, row.seconds)
			case "preload":
				self.boot(row.suite, built, preload.preload, ours, preload_source(built))
			case plan.BENCH:
				self.boot(row.suite, built, bench.suite_of, ours)

	@staticmethod
	def broken(name, lane, error):
		suite = Suite(name, lane)
		suite.add("build", "failed", str(error))
		return suite

	def build_programs(self):
		suites = {row.suite for lane in self.chosen for row in self.rows(lane)}
		if not suites - set(plan.BARE):
			return
		try:
			guest.build_host(with_tests=bool(suites & set(guest.SYSTEM_SUITES)),
				more=[target for suite, target in (("chaos", "svm_chaos"), ("preload", "svmirror_preload"), (plan.BENCH, "svm_bench")) if suite in suites])
			self.programs_ready = True
		except Failed as error:
			self.record(self.broken("release", "host", error))

	def lane(self, lane):
		for config in plan.configs(self.rows(lane)):
			try:
				self.lane_boots(lane, config)
				if self.machines == 1:
					self.collect()
			except Skipped as reason:
				self.left_out.append((lane.name, str(reason)))
				suite = Suite("kernel", lane.name)
				suite.add("source", "failed" if os.environ.get("CI") == "true" else "skipped", str(reason))
				self.record(suite)
				return
			except Failed as error:
				self.record(self.broken(f"{config}-kernel", lane.name, error))

	def run(self):
		MUTATIONS.unlink(missing_ok=True)   # an older run's
		background = self.prefetch() if self.machines > 1 and any(self.rows(lane) for lane in self.chosen) else None
		try:
			if self.machines > 1:
				self.side_by_side()
			else:
				self.host_suites()
				self.build_programs()
				self.one_by_one()
			self.collect()
		except BaseException:
			# What is under way ends, and what has not begun does not begin.
			self.pool.shutdown(wait=False, cancel_futures=True)
			say.end_children()
			raise
		finally:
			if background:
				say.end(background)

	def side_by_side(self):
		vm.crowded = True
		self.build_programs()       # first: the host's suites build in the same folders
		begun = concurrent.futures.ThreadPoolExecutor(1).submit(self.guest_part)
		os.nice(10)                 # of this thread, and of what it starts
		self.host_suites()
		self.races()
		self.patient_suites()
		begun.result()

	def one_by_one(self):
		"""One virtual machine at a time, and what it leaves of the CPUs for the suites that have time and for the build of one
		whose tests, which look at clocks, come last."""
		def rest():
			if any(self.rows(lane) for lane in self.chosen):        # else nothing of ours is in a hurry
				os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))      # of this thread, and of what it starts
			self.patient_suites()
			if self.wants("unit-tsan"):
				with contextlib.suppress(Failed):       # the suite will say it
					host.build("tsan", host.unit_targets())
		patient = concurrent.futures.ThreadPoolExecutor(1).submit(rest)
		self.guest_part()
		patient.result()
		self.races()

	def guest_part(self):
		for lane in self.chosen:
			self.lane(lane)

	def close(self, seconds):
		mutations = []
		try:
			mutations = results.read_mutations(MUTATIONS)
		except Failed as error:
			self.record(self.broken("mutations", "host", error))
		results.write_json(self.suites, OUT / "check.json", coverage=self.coverage, mutations=mutations)
		passed, failed, _ = results.runs(self.suites)
		say.say("")
		say.say(results.table(self.suites))
		if mutations:
			say.say("\n" + results.mutation_table(mutations))
		if self.coverage:
			say.say("\n" + coverage.text_of(self.coverage))
		for line in (*results.skip_lines(self.suites), *results.failure_lines(self.suites)):
			say.say(line)
		say.say(f"\nresults in {OUT / 'check.json'}, done in {say.duration(seconds)}")
		for name, reason in self.left_out:
			say.say(f"SKIPPED lane {name}: {reason}")
		for line in results.count_lines(self.suites):
			say.say(line)
		sys.stdout.flush()
		return 1 if failed or not passed else 0


def run(chosen, only, soak=False):
	started = time.monotonic()
	check = Check(chosen, only, soak)
	covered = {row.label for lane in chosen for row in check.rows(lane)}
	lonely = [name for name in only if name in GUEST_SUITES and name not in covered]
	if lonely:
		raise Failed(f"not on these lanes: {', '.join(lonely)}; LANE=all takes every lane")
	say.say(f"checking on: host, {', '.join(lane.name for lane in check.chosen)}")
	check.run()
	return check.close(time.monotonic() - started)


def names(text):
	asked = [name for name in text.replace(",", " ").split() if name]
	for name in asked:
		if name not in SUITES:
			raise Failed(f"there is no suite '{name}'; suites are {', '.join(SUITES)}")
	return asked
