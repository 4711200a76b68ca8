# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of the core: faults put into it on purpose, each as edits of its text (file, what stands there, what is to).

`program` names what has to notice: the simulation (sim), or the unit tests (unit) where the simulation's oracle cannot
see the fault, or sees it too rarely. How an edit is read, plant.py says.
"""

MIRROR = "mm/mirror.cpp"
LEAVES = "mm/pt/leaves.hpp"
GATHER = "mm/pt/gather.hpp"
RECLAIM = "mm/reclaim.cpp"
WINDOW = "mm/window.cpp"
WALK = "mm/pt/walk.hpp"
PREFETCH = "mm/prefetch.cpp"
SCRATCH = "mm/scratch.hpp"
ROOM = "mm/room.cpp"
TABLE = "mm/pt/page_table.hpp"

FLUSH = "		pt.flush(owed, may_sleep);"
VISIT = "		vm.pt.visit(part, svm::invalidate_table, &i);"
EARLY_FLUSH = "		vm.pt.flush({ w.to_va(hit.start), w.to_va(hit.end) }, may_sleep);\n"

SIM = {
	"no barrier between an interval's sequence and the walk (B1)": [
		(MIRROR, "	svm::full_barrier(); // B1 of mirror.hpp, with B2 in make_ready()", "")],
	"no barrier between a new table and its interval's sequence (B2)": [
		(MIRROR, "	full_barrier(); // B2 of mirror.hpp, with B1 in svm_port_invalidate()", "")],
	"emptied leaves are not published": [
		(LEAVES, "		settle(t, tb);\n		@{walk<F>::publish(t);}@\n	}\n\n	// Nothing is mapped", "")],
	"no sequence for an empty table": [
		(MIRROR, "tb.seq.store_relaxed(i->seq);", "if (tb.live || tb.retired) tb.seq.store_relaxed(i->seq);")],
	"no retry: the sequence is not looked at again": [
		(MIRROR, "tb.seq.load_relaxed() != port.seq", "false")],
	"a new table does not take over its interval's sequence": [
		(MIRROR, "	tb.seq.store_relaxed(port_interval_seq(in.port));", "")],
	"a dead table is written": [
		(MIRROR, "		if (tb.state.load_relaxed() != table_state::ready) // written under the lock\n			return err::busy;", "")],
	"faults go on in a window that dies": [
		(MIRROR, "!w.span.holds(va) || w.dying.load_acquire()", "!w.span.holds(va)"),
		(WINDOW, "w && @{!w->dying.load_acquire()}@", "true")],
	"pages that no leaf took stay mapped for DMA": [
		(MIRROR, "	f.undo();", "")],
	"a table's memory that was not needed leaks": [
		(MIRROR, "		if (fresh.cpu)\n			vm.pt.ops->table_free(vm.pt.backend, &fresh);", "")],
	"the TLB is flushed before the leaves go": [
		(GATHER, FLUSH, ""),
		(MIRROR, VISIT, EARLY_FLUSH + VISIT)],
	"the TLB is not flushed": [
		(GATHER, FLUSH, "")],
	"what another callback retired is not waited for": [
		(LEAVES, "			t.stat.sub(stat::present, before - tb.live);",
			"			t.stat.sub(stat::present, before - tb.live);\n"
			"			if (before == tb.live && tb.top != table_top::huge_retired)\n				return {};")],
	"the last leaf of a span stays": [
		(LEAVES, "i < last && tb.live", "i + 1 < last && tb.live")],
	"a huge leaf stays": [
		(LEAVES, "			F::store(top, huge_level, F::retire(F::load(top)));", "")],
	"a hint speaks for leaves that are gone": [
		(LEAVES, "			drop_hint(tb, first);\n			drop_hint(tb, last);", "")],
	"the old way to a table is not flushed when a huge leaf takes its place": [
		(LEAVES, "			t.flush(whole(tb), false);\n			finish_small(t, tb, 0, G::entries);",
			"			finish_small(t, tb, 0, G::entries);")],
	"a page that the device wrote is not marked dirty": [
		(LEAVES, "		port_dma_release(t.domain, F::address(leaf, lv), lg2, F::writable(leaf));",
			"		port_dma_release(t.domain, F::address(leaf, lv), lg2, false);")],
	"every page may be written": [
		("mm/pt/source.hpp", "bool write = @{w & PORT_PAGE_WRITE}@;", "w & PORT_PAGE_VALID")],
	"a table is freed without a grace period": [
		(RECLAIM, "	@{defer(vm.domain(), n);}@", "svm_port_deferred(&n);")],
	"the shrinker does not flush the way to a table": [
		(RECLAIM, "	vm.pt.flush(owed, true);", "")],
	"the shrinker takes tables that are in use": [
		(RECLAIM, "	if (@{!idle}@)\n		return ++s->in_use", "false"),
		(RECLAIM, "bool idle = @{vm.pt.is_idle(tb)}@;", "true"),
		(WALK, "		SVM_ASSERT(tb.counted_idle && tb.top == table_top::none);", "")],
	"an unbind does not wait for faults under way": [
		(WINDOW, "	// Faults that saw the window alive have left after this; none maps through it any more.\n	@{port_synchronize(vm.domain());}@", "")],
	"an unbind frees what readers stand on": [
		(WINDOW, "	@{port_synchronize(vm.domain());}@ // for readers that still stand on what", "")],
	"a killed prefetch goes on": [
		(PREFETCH, "!why && @{port_killed()}@)", "false")],
}

UNIT = {
	"a fault that was spoiled again and again asks for the whole table": [
		(MIRROR, "attempt >= narrow_after", "false")],
	"a fault that was spoiled again and again asks for its granule": [
		(MIRROR, "attempt >= page_after", "false")],
	"a zap flushes its own pages, not the groups that they are in": [
		(LEAVES, "? whole(tb) : @{widened(part(tb, first, last))}@;", "part(tb, first, last)")],
	"a granted right is flushed for its own page, not for the group that it is in": [
		(LEAVES, "widened(part(tb, first, first + count))", "part(tb, first, first + count)")],
	"new leaves are not published": [
		(LEAVES, "		settle(t, tb);\n		@{walk<F>::publish(t);}@\n	}\n\n	// Takes [first", "")],
	"a huge leaf is not published": [
		(LEAVES, "				settle(t, tb);\n				@{walk<F>::publish(t);}@\n				return;", "")],
	"retired leaves are not published": [
		(LEAVES, "			return {};\n		@{walk<F>::publish(t);}@\n		return tb.top == table_top::huge_retired", "")],
	"the way to a table's memory is cut, and that is not published": [
		(LEAVES, "		tb.top = table_top::none;\n		@{walk<F>::publish(t);}@\n	}\n\n	// After the flush", "")],
	"the way to a new directory is not published": [
		(WALK, "static_cast<svm_aperture>(next->mem.aperture));\n			@{publish(t);}@", "")],
	"a read-only huge leaf counts as present for a write": [
		(LEAVES, "bool huge = @{huge_allows(tb, access)}@;", "huge_allows(tb, SVM_READ)")],
	"the loser of a directory goes on before it is linked": [
		(WALK, "				next = static_cast<directory *>(winner);", "				return static_cast<directory *>(winner);")],
	"an interval reaches beyond its window": [
		(WINDOW, "va_span::around(va, vm.interval_lg2).common(w.span)", "va_span::around(va, vm.interval_lg2)")],
	"an unbind waits for a whole prefetch": [
		(PREFETCH, "	port_parallel(vm->domain(), tables < svm::threads ? static_cast<u32>(tables) : svm::threads, svm::work, &p);",
			"	svm::reader all(vm->domain());\n"
			"	port_parallel(vm->domain(), tables < svm::threads ? static_cast<u32>(tables) : svm::threads, svm::work, &p);")],
	"read-only pages count as prefetched for writing": [
		(PREFETCH, "static_cast<unsigned>(part.pages()), @{p.access}@, nullptr", "SVM_READ")],
	"a prefetch goes on when the device goes": [
		(PREFETCH, "return @{vm.pt.ops->gone}@ ?", "false")],
	"a prefetch waits for the same page again and again": [
		(PREFETCH, "if (@{page.va == waited}@)", "false")],
	"a prefetch maps what the table has": [
		(MIRROR, "count - @{vm.pt.present(tb, first, count, asked.access, room.have)}@",
			"(__builtin_memset(room.have, 0, (count + 63) / 64 * sizeof(u64)), 0u)")],
	"a prefetch takes table memory for nothing": [
		(MIRROR, "done.ok() && @{f.brought_any()}@)", "true")],
	"a prefetch takes what lies outside of its span": [
		(MIRROR, "		if (!asked.must)\n			all = all.common({ asked.va, asked.want.end });", "")],
	"a fork flushes for each mapping": [
		(MIRROR, "if (@{forking}@) // one flush", "false")],
	"every callback takes whole tables": [
		(MIRROR, "if (@{forking}@) // one flush", "true")],
	"two faults share one scratch buffer": [
		(SCRATCH, "!(p.busy.fetch_or_acquire(bit) & bit)", "(p.busy.fetch_or_acquire(bit), true)")],
	"a scratch buffer is taken without looking whether it is free": [
		(SCRATCH, "!(p.busy.load_relaxed() & bit) && !(p.busy.fetch_or_acquire(bit) & bit)", "(p.busy.fetch_or_acquire(bit), true)")],
	"a scratch buffer is never given back": [
		(SCRATCH, "			pool.busy.fetch_and_release(~held);", "pool.busy.load_relaxed();")],
	"whatever table_alloc() says, others lose tables": [
		(TABLE, "status::from(failed).is(err::room) ? err::room : err::nomem", "err::room")],
	"vms that hold less than an average share lose tables in use": [
		(ROOM, "!pieces || @{pieces < all->average()}@", "false")],
	"a thread that finds no memory takes tables, although others are on their way": [
		(ROOM, "	if (@{(all.pending || port_frees(dma) != p.seen) && p.waits < enough_waits}@)", "false")],
	"several threads take tables at a time": [
		(ROOM, "	if (@{!one.chosen}@)", "false")],
	"a wait in which no memory came back counts for nothing": [
		(ROOM, "came ? p.waits + 1 : @{enough_waits}@", "0")],
	"memory that came back and went to others counts for nothing": [
		(ROOM, "came ? @{p.waits + 1}@ : enough_waits", "0")],
	"where all that could go is young, a fault fails": [
		(ROOM, "	port_each_domain(dma, grow_older, nullptr);\n	return found::young;", "return found::nothing;")],
	"one idle node is looked for among all others": [
		(ROOM, "idle < pieces / worth_a_look", "false")],
	"tables without memory count as memory": [
		(WALK, "		t.stat.add(stat::tables_made);", "t.stat.add(stat::tables_made); t.count_piece();"),
		(WALK, "		if (@{tb.mem.cpu}@)\n			t.discount_piece();", "&tb")],
	"two unbinds of one window take it apart twice": [
		(WINDOW, "	status done = @{windows.replace(span, nullptr)}@;", "status()")],
}

# Those that only the simulation's making of new tables shows soon.
OF_NEW_TABLES = ("no barrier between an interval's sequence and the walk (B1)", "no barrier between a new table and its interval's sequence (B2)",
	"a new table does not take over its interval's sequence")

MUTANTS = [{"name": name, "program": program, "edits": edits, "scenario": "tables_are_new" if name in OF_NEW_TABLES else ""}
	for program, table in (("svm_sim_mutants", SIM), ("svm_unit_mutants", UNIT)) for name, edits in table.items()]
