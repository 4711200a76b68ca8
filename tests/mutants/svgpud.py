# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of the virtual GPU; its tests have to notice each. See core.py and plant.py."""

SPACE = "tools/svgpud/model/address_space.cpp"
TLB = "tools/svgpud/model/tlb.cpp"
SYNC = "tools/svgpud/model/sync_unit.cpp"
FAULT = "tools/svgpud/model/fault_unit.cpp"
VIEW = "tools/svgpud/model/memory_view.cpp"
GATE = "tools/svgpud/model/access_gate.hpp"
SCHEDULER = "tools/svgpud/model/scheduler.cpp"

SVGPUD = {
	"an invalidation does not wait for accesses under way": [
		(SPACE, "	@{gate.close();}@\n	{\n		std::lock_guard hold(lock_);\n\n		tlb_.drop(start, end);", "")],
	"an invalidation keeps the pages": [
		(TLB, "		drop_blocks(pages_[lg2], lg2, start, end);", "")],
	"an invalidation keeps the links to tables": [
		(TLB, "		drop_blocks(l.words, l.lg2, start, end);", "")],
	"a new root keeps the old one's translations": [
		(SPACE, "		tlb_.clear();", "")],
	"a new root does not wait for accesses under way": [
		(SPACE, "	@{gate.close();}@\n	{\n		std::lock_guard hold(lock_);\n\n		tlb_.clear();", "")],
	"a kept translation is used after an invalidation": [
		(VIEW, "last_generation_ == generation", "true")],
	"a kept translation is used for another page": [
		(VIEW, "last_.covers(va)", "true")],
	"a kept translation is used for another access": [
		(VIEW, "address_space::allows(last_, access)", "true")],
	"a kept translation is not checked against the ledger": [
		(VIEW, "acknowledged != last_acknowledged_", "false")],
	"an engine says too late that it is in the gate": [
		(GATE, "inside_[number].busy.store(true, @{std::memory_order_seq_cst}@)", "std::memory_order_relaxed")],
	"an engine looks too early whether the gate is closed": [
		(GATE, "closed_.load(@{std::memory_order_seq_cst}@)", "std::memory_order_relaxed")],
	"the closer says too late that the gate is closed": [
		(GATE, "closed_.store(true, @{std::memory_order_seq_cst}@)", "std::memory_order_relaxed")],
	"the closer looks too early for engines in the gate": [
		(GATE, "s.busy.load(@{std::memory_order_seq_cst}@)", "std::memory_order_relaxed")],
	"an invalidation does not keep accesses out": [
		(GATE, "!closed_.load(std::memory_order_seq_cst)", "true")],
	"each queue has its own share of the engines": [
		(SCHEDULER, "	q.owner = owner;", "	q.owner = number;")],
	"a page that is read-only may be written": [
		(SPACE, "page.write && (access == SVGPU_WRITE || page.atomic)", "true")],
	"operations are taken out of sequence": [
		(SYNC, "!last_seq_ || op.seq == last_seq_ + 1", "true")],
	"the id of a canceled fault is given again": [
		(FAULT, "	if (mine.unanswered)\n		return answer::canceled;", "	if (mine.unanswered) {\n		next_id_ = ids.front();\n		return answer::canceled;\n	}")],
	"a canceled fault stays among those that wait": [
		(FAULT, "	for (std::uint32_t id : ids)\n		waiting_.erase(id);", "	for (std::uint32_t id : ids)\n		if (!mine.unanswered)\n			waiting_.erase(id);")],
	"a failed reply counts as a retry": [
		(FAULT, "	it->second->failed |= failed;", "it->second->failed |= false;")],
}

MUTANTS = [{"name": name, "program": "svgpud_mutants", "edits": edits, "scenario": ""} for name, edits in SVGPUD.items()]
