# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of the virtual GPU; its tests have to notice each. See core.py and plant.py."""

SPACE = "tools/svgpud/model/address_space.cpp"
TLB = "tools/svgpud/model/tlb.cpp"
SYNC = "tools/svgpud/model/sync_unit.cpp"
FAULT = "tools/svgpud/model/fault_unit.cpp"

SVGPUD = {
	"an invalidation does not wait for accesses under way": [
		(SPACE, "	@{gate.close();}@\n	{\n		std::lock_guard hold(lock_);\n\n		tlb_.drop(start, end);", "")],
	"an invalidation keeps the pages": [
		(TLB, "		drop_blocks(pages_[i], page_lg2[i], start, end);", "")],
	"an invalidation keeps the pointers to tables": [
		(TLB, "		drop_blocks(tables_[i], table_lg2[i], start, end);", "")],
	"a new root keeps the old one's translations": [
		(SPACE, "		tlb_.clear();", "")],
	"a page that is read-only may be written": [
		(SPACE, "access == SVGPU_READ || (page.write && (access == SVGPU_WRITE || page.atomic))", "true")],
	"operations are taken out of sequence": [
		(SYNC, "!last_seq_ || op.seq == last_seq_ + 1", "true")],
	"a failed reply counts as a retry": [
		(FAULT, "	it->second->failed |= failed;", "it->second->failed |= false;")],
}

MUTANTS = [{"name": name, "program": "svgpud_mutants", "edits": edits, "scenario": ""} for name, edits in SVGPUD.items()]
