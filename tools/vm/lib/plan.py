# SPDX-License-Identifier: GPL-2.0-only
"""Which suite runs on which lane, on which kernel, and why: the one table, of which Documentation/testing.rst shows a copy.

`make check` takes the rows of its lanes that are no soak. `make soak` takes all; there a row of the soak replaces the one
of the same suite, and what is random on the host has more time. A suite that is asked for by name runs wherever it has any row.
"""

import dataclasses

SYSTEM, PRESSURE, LIFETIME, LIAR = PROGRAMS = (
	"svm_system_tests", "svm_pressure_tests", "svm_lifetime_tests", "svm_liar_tests")
BENCH = "bench"
HMM = "hmm-tests"
BARE = ("kunit", HMM)      # need no program of ours and no virtual GPU
# Of SYSTEM, the tests whose behaviour touches leaves, and short ones: for each format of page tables.
LEAF_TESTS = ":".join((
	"Granularity.*", "Row01Munmap.*", "Row02MapFixed.*", "Row03Mremap.*", "Row04Mprotect.*", "Row05Fork.DeviceWrite*", "Row05Fork.ChildWrite*",
	"Row08Hugetlb.*", "Row11Special.*", "Row26Windows.*", "Row26Objects.*", "Prefetch.MakesPresent", "Row23Hammer.CpuAndDevice*",
)) + "-Row02MapFixed.ZerosAndNeverOldData:Granularity.DuplicateFaultsAreCounted"
STOCK = "svm_stock_tests"       # FUSE, DAX, cpusets: only a prebuilt kernel has them
TABLES, EVICTION = "svm_table_tests", "svm_eviction_tests"      # want a device with little VRAM


@dataclasses.dataclass(frozen=True)
class Row:
	suite: str
	lanes: tuple        # ("host",) or names of lanes
	config: str         # of the kernel; for the host the preset
	why: str
	programs: tuple = ()        # of tests/system, for the suites that run them
	seconds: int = 0            # for what goes on as long as one likes
	soak: bool = False          # not in make check

	@property
	def label(self):
		"""The suite's name in tables: with the kernel's config, where another suite of this name has another one."""
		return f"{RACES}-{self.suite}" if self.config == RACES else self.suite


DEBUG, RACES, PREBUILT = "debug", "kcsan", "base"
SMALL = "base"      # of a lane that we build
# debug:     KASAN, lockdep, kmemleak and the rest: three times slower than a prebuilt kernel
# kcsan:     data races, on the newest kernel, whose checker is the newest
# base:      on lane stock the distribution's kernel as users have it, with NUMA, memcg, cpusets, FUSE and DAX; on the
#            others the same small kernel as debug without its checks, for what is counted
TABLE = (
	Row("kunit", ("debian-12", "debian-13", "current"), DEBUG, "the port in each kernel whose interfaces differ"),
	Row("system", ("debian-12",), DEBUG, "all programs under all checks once", PROGRAMS),
	Row("system-tables-system", ("debian-13",), DEBUG, "this kernel's memory management, and page tables in system memory under "
		"all checks; lies of the device are the driver's matter and not the kernel's", (SYSTEM, PRESSURE, LIFETIME)),
	Row("chaos", ("debian-12",), DEBUG, "what no test thought of, under all checks", seconds=100),
	Row("chaos", ("current",), DEBUG, "the same on the newest kernel", seconds=60),
	Row("kunit", ("current",), RACES, "data races in the port"),
	Row("system", ("current",), RACES, "this kernel's memory management, and data races under load", (SYSTEM, PRESSURE, LIFETIME)),
	Row("system", ("stock",), PREBUILT, "what users run: no debugging that changes times, the options that our configs lack",
		(STOCK, *PROGRAMS)),
	Row("system-tables-system", ("stock",), PREBUILT, "the same with page tables in system memory", (SYSTEM,)),
	Row("system-formats", ("stock",), PREBUILT, "each vendor's page tables, walked by a device of that vendor's: what touches leaves", (SYSTEM,)),
	Row("system-little-vram", ("debian-12",), DEBUG, "page tables and buffers that do not fit into VRAM, under all checks",
		(TABLES, EVICTION)),
	Row("system-little-vram", ("current",), DEBUG, "moves of buffers, and the newest kernel's ways to take mappings away", (EVICTION,)),
	Row("system-little-vram", ("stock",), PREBUILT, "the same at the speed that users meet: one process's hunger and the others' throughput",
		(TABLES, EVICTION)),
	Row(HMM, ("debian-12", "debian-13", "current"), DEBUG, "what each kernel demands of a driver that uses HMM, by its own selftest"),
	Row("demo", ("stock",), PREBUILT, "what `make demo` shows"),
	Row("preload", ("stock",), PREBUILT, "unmodified programs, at the speed and with the options that they meet"),
	Row(BENCH, ("stock",), PREBUILT, "nothing has become dearer: instructions, counted on a kernel that need not be built"),
	# Combinations that differ from the above in one respect only, and more time.
	Row("system", ("debian-13",), DEBUG, "page tables in VRAM there", PROGRAMS, soak=True),
	Row("system-tables-system", ("debian-12", "current"), DEBUG, "page tables in system memory there", (SYSTEM,), soak=True),
	Row("system", ("current",), DEBUG, "what differs from its run under KCSAN in the checks, and from debian-12's in the kernel", PROGRAMS, soak=True),
	Row("system", ("current",), RACES, "data races while the device lies, too", PROGRAMS, soak=True),
	Row("demo", ("debian-12", "debian-13", "current"), DEBUG, "the demo under all checks", soak=True),
	Row("chaos", ("debian-12", "debian-13", "current"), DEBUG, "longer, on each kernel", seconds=600, soak=True),
	Row("chaos", ("stock",), PREBUILT, "longer, at full speed", seconds=600, soak=True),
	Row("preload", ("debian-12",), DEBUG, "unmodified programs under all checks", soak=True),
	Row(BENCH, ("current",), SMALL, "the same on the kernel whose source has drm_gpusvm to compare with; it needs a kernel of its own", soak=True),
)
# What the random suites of the host are given by `make soak`, beside what `make check` gives.
STRESS, SOAK_STRESS = "2", "60"     # seconds of each stress scenario, in each preset
SOAK_STEPS = "600000000"        # of the simulation
SOAK_FUZZ = 600                 # seconds of new inputs for each fuzzer
GUEST_SUITES = tuple(dict.fromkeys(row.label for row in TABLE))


def rows(lane, only=(), soak=False):
	"""The rows for a lane: those of make check, of make soak, or of suites asked for by name."""
	here = [row for row in TABLE if lane in row.lanes and (not only or row.label in only)]
	plain = [row for row in here if not row.soak]
	more = [row for row in here if row.soak]
	if soak:
		return [row for row in plain if row.label not in {each.label for each in more}] + more
	if not only:
		return plain
	return plain + [row for row in more if row.label not in {each.label for each in plain}]


def configs(chosen):
	"""The kernels' configs that these rows need, each once, in their order."""
	return list(dict.fromkeys(row.config for row in chosen))


def document():
	"""The table as Documentation/testing.rst has it."""
	lines = [".. list-table::", "   :header-rows: 1", "   :widths: 18 20 10 8 44", "",
		"   * - Suite", "     - Lanes", "     - Kernel", "     - When", "     - Why"]
	for row in TABLE:
		why = row.why
		if row.programs and row.programs != PROGRAMS:
			why += f" ({', '.join(name.removeprefix('svm_').removesuffix('_tests') for name in row.programs)})"
		if row.seconds:
			why += f" ({row.seconds} s)"
		lines += [f"   * - ``{row.label}``", f"     - {', '.join(f'``{lane}``' for lane in row.lanes)}",
			f"     - ``{row.config}``", f"     - {'soak' if row.soak else 'check'}", f"     - {why.replace('`make demo`', '``make demo``')}"]
	return "\n".join(lines) + "\n"
