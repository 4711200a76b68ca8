# SPDX-License-Identifier: GPL-2.0-only
"""`make check`: every suite on the host and on the chosen lanes, in an order that uses the time.

The kernels of all chosen lanes are made in the background, at low priority, while the host's
suites run; a lane waits for its kernel only if that was not enough.

Where the machine is wide enough for several virtual machines, they run at the same time, and the
host's suites beside them, at low priority too; else one thing runs at a time.
"""

import concurrent.futures
import os
import sys
import time

from . import coverage, fuzz, guest, host, kernel, lanes, modules, preload, results, say, sim, vm
from .paths import JOBS, OUT, TOP
from .results import Suite
from .say import Failed, Skipped

CONFIG = "debug"
# Data races are looked for on one lane: the kernel with the newest checker.
RACES, RACES_LANE = "kcsan", "current"
RACES_SUITES = ("kcsan-kunit", "kcsan-system")
MUTATIONS = OUT / "mutations.json"
GUEST_SUITES = ("kunit", "system", "demo", "chaos", "preload", *RACES_SUITES)
GUEST_PROGRAMS = tuple(name for name in GUEST_SUITES if not name.endswith("kunit"))     # they need programs built on the host
SUITES = ("tools", "unit", "coverage", "unit-asan", "unit-tsan", "sim", "mutations", "fuzz", "thread-safety", "model", "docs", "checkpatch",
	*GUEST_SUITES)
# What one virtual machine takes with all that belongs to it; as much is for the host's suites.
VM_CPUS, VM_KIB = 2, 2560 << 10


def machines():
	"""How many virtual machines run at a time; VMS= says otherwise."""
	with open("/proc/meminfo") as info:
		free = next(int(line.split()[1]) for line in info if line.startswith("MemAvailable:"))
	return guest.number("VMS", max(1, min(JOBS // VM_CPUS, free // VM_KIB) - 1), 1)


class Check:
	def __init__(self, chosen, only):
		self.chosen = chosen
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

	def configs(self, lane):
		"""The kernel configs that the wanted suites need on this lane."""
		wanted = {name for name in GUEST_SUITES if self.wants(name)}
		found = [CONFIG] if wanted.difference(RACES_SUITES) else []
		if lane.name == RACES_LANE and wanted.intersection(RACES_SUITES):
			found.append(RACES)
		return found

	def prefetch(self):
		"""Make the kernels in the background, one after the other."""
		script = "; ".join(f"'{TOP}/tools/vm/kernel' {lane.name} {config}"
			for lane in self.chosen for config in self.configs(lane))
		OUT.mkdir(exist_ok=True)
		sink = open(OUT / "prefetch.log", "wb")
		return say.spawn(["nice", "-n", "10", "sh", "-c", script], stdout=sink, stderr=sink)

	def host_suites(self):
		if self.wants("tools"):
			self.record(host.tools())
		for preset in ("debug", "asan", "tsan"):
			name = "unit" if preset == "debug" else f"unit-{preset}"
			if self.wants(name):
				self.record(host.unit(preset))
			if preset == coverage.PRESET and self.wants("coverage"):
				suite, self.coverage = coverage.suite()
				self.record(suite)
		if self.wants("sim"):
			self.record(sim.simulation())
		if self.wants("mutations"):
			self.record(sim.mutations())
		if self.wants("fuzz"):
			self.record(fuzz.suite())
		if self.wants("thread-safety"):
			self.record(host.thread_safety())
		if self.wants("model"):
			self.record(host.model())
		if self.wants("docs"):
			self.record(host.docs())

	def checkpatch(self):
		"""Needs a kernel's source, of whichever chosen lane can be had."""
		if not self.wants("checkpatch"):
			return
		for lane in self.chosen:
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
		try:
			ours = modules.build(built)
		except Failed as error:
			self.record(self.broken(guest.named(built, "modules"), lane.name, error))
			return
		if self.wants(guest.named(built, "kunit")):
			self.boot("kunit", built, guest.kunit, ours)
		if not self.programs_ready:
			return
		if self.wants(guest.named(built, "system")):
			# Under KCSAN the page tables lie in one place.
			for place in guest.PLACES[:1] if config == RACES else guest.PLACES:
				self.boot(guest.system_name(place), built, guest.system, ours, place)
		if config == RACES:
			return
		if self.wants("demo"):
			self.boot("demo", built, guest.demo_suite, ours, guest.demo_input())
		everywhere = os.environ.get("CI") == "true"
		# In CI on every lane, together five minutes; otherwise a minute on the first one.
		if self.wants("chaos") and (everywhere or lane == self.chosen[0]):
			self.boot("chaos", built, guest.chaos, ours, 100 if everywhere else 60)
		if self.wants("preload") and lane.name == self.preload_lane():
			self.boot("preload", built, preload.preload, ours, kernel.source(lane).path)

	def preload_lane(self):
		"""The distribution's own, whose selftests fit the machine's headers, where it is among them."""
		chosen = [lane.name for lane in self.chosen]
		return lanes.default() if lanes.default() in chosen else chosen[0]

	@staticmethod
	def broken(name, lane, error):
		suite = Suite(name, lane)
		suite.add("build", "failed", str(error))
		return suite

	def build_programs(self):
		if not any(self.wants(name) for name in GUEST_PROGRAMS):
			return
		try:
			guest.build_host(with_tests=self.wants("system") or self.wants("kcsan-system"),
				more=[target for suite, target in (("chaos", "svm_chaos"), ("preload", "svm_mirror")) if self.wants(suite)])
			self.programs_ready = True
		except Failed as error:
			self.record(self.broken("release", "host", error))

	def lane(self, lane):
		for config in self.configs(lane):
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
				self.record(self.broken("kernel" if config == CONFIG else f"{config}-kernel", lane.name, error))

	def run(self):
		MUTATIONS.unlink(missing_ok=True)   # an older run's
		background = self.prefetch() if any(self.wants(name) for name in GUEST_SUITES) else None
		try:
			if self.machines > 1:
				self.side_by_side()
			else:
				self.host_part()
				self.build_programs()
				self.guest_part()
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
		self.host_part()
		begun.result()

	def host_part(self):
		self.host_suites()
		self.checkpatch()

	def guest_part(self):
		if any(self.wants(name) for name in GUEST_SUITES):
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


def run(chosen, only):
	started = time.monotonic()
	check = Check(chosen, only)
	lonely = [name for name in only if name in RACES_SUITES]
	if lonely and RACES_LANE not in [lane.name for lane in chosen]:
		raise Failed(f"{', '.join(lonely)}: on lane {RACES_LANE} only; say LANE={RACES_LANE}")
	say.say(f"checking on: host, {', '.join(lane.name for lane in check.chosen)}")
	check.run()
	return check.close(time.monotonic() - started)


def names(text):
	asked = [name for name in text.replace(",", " ").split() if name]
	for name in asked:
		if name not in SUITES:
			raise Failed(f"there is no suite '{name}'; suites are {', '.join(SUITES)}")
	return asked
