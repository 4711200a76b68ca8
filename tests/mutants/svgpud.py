# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of the virtual GPU; its tests have to notice each. See core.py and plant.py."""

SPACE = "tools/svgpud/model/address_space.cpp"
GATE = "tools/svgpud/model/access_gate.hpp"
TLB = "tools/svgpud/model/tlb.cpp"

SVGPUD = {
	"an invalidation does not wait for accesses under way": [
		(SPACE, "	@{gate.close();}@\n	{\n		std::lock_guard hold(lock_);\n\n		tlb_.drop(start, end);",
			"")],
}

MUTANTS = [{"name": name, "program": "svgpud_mutants", "edits": edits, "scenario": ""} for name, edits in SVGPUD.items()]
