# SPDX-License-Identifier: GPL-2.0-only
"""Faults that are put into the core on purpose, each as edits of its text: (file, what stands there, what is to).

The simulation has to catch every one. A text that is not found exactly once is a failure too: then
the code has changed, and the fault must follow it.
"""

RETRY = "mm/mirror.cpp"
LEAVES = "mm/pt/leaves.hpp"
GATHER = "mm/pt/gather.hpp"
RECLAIM = "mm/reclaim.cpp"
WINDOW = "mm/window.cpp"
WALK = "mm/pt/walk.hpp"

MUTANTS = {
	"no barrier between an interval's sequence and the walk": [
		(RETRY, "	svm::full_barrier(); // B1 of mirror.hpp, with B2 in make_ready()\n", "")],
	"no sequence for an empty table": [
		(RETRY, "	tb.seq.store_relaxed(i->seq); //", "	if (tb.live || tb.retired)\n		tb.seq.store_relaxed(i->seq); //")],
	"no retry: the sequence is not looked at again": [
		(RETRY, "	return tb.state.load_relaxed() != table_state::ready || tb.seq.load_relaxed() != seq;",
			"	return seq && tb.state.load_relaxed() == table_state::dead;")],
	"a new table does not take over its interval's sequence": [
		(RETRY, "	tb.seq.store_relaxed(port_interval_seq(tb.interval->port));\n", "")],
	"a dead table is written": [
		(RETRY, "		if (tb.state.load_relaxed() != table_state::ready) // written under the lock\n			return err::busy;\n", ""),
		(RETRY, "	return tb.state.load_relaxed() != table_state::ready || tb.seq.load_relaxed() != seq;",
			"	return tb.seq.load_relaxed() != seq;")],
	"faults go on in a window that dies": [
		(RETRY, "!w.span.holds(va) || w.dying.load_acquire()", "!w.span.holds(va)"),
		(WINDOW, "w->span.holds(va) && !w->dying.load_acquire()", "w->span.holds(va)")],
	"pages that no leaf took stay mapped for DMA": [
		(RETRY, "	f.undo();\n", "")],
	"a table's memory that was not needed leaks": [
		(RETRY, "		if (fresh.cpu)\n			vm.tree.ops->table_free(vm.tree.backend, &fresh);\n", "")],
	"the TLB is flushed before the leaves go": [
		(GATHER, "		t.ops->flush_wait(t.backend, t.ops->flush_begin(t.backend, owed.start, owed.end), may_sleep);\n", ""),
		(RETRY, "	if (!hit.empty())\n", "	if (!hit.empty())\n		vm.tree.ops->flush_wait(vm.tree.backend, vm.tree.ops->flush_begin(vm.tree.backend, "
			"w.to_va(hit.start), w.to_va(hit.end)), may_sleep);\n	if (!hit.empty())\n")],
	"the TLB is not flushed": [
		(GATHER, "		t.ops->flush_wait(t.backend, t.ops->flush_begin(t.backend, owed.start, owed.end), may_sleep);\n", "")],
	"what another callback retired is not waited for": [
		(LEAVES, "		if (tb.top != table_top::huge_retired && !tb.retired)\n			return {};\n",
			"		if (tb.top != table_top::huge_retired && tb.live + tb.retired == 0)\n			return {};\n"),
		(LEAVES, "				tb.live--;\n				tb.retired++;\n			}\n",
			"				tb.live--;\n				tb.retired++;\n				fresh = true;\n			}\n"
			"			if (!fresh && tb.top != table_top::huge_retired)\n				return {};\n"),
		(LEAVES, "			u32 before = tb.live;\n\n			drop_hint", "			u32 before = tb.live;\n			bool fresh = false;\n\n			drop_hint")],
	"the last leaf of a span stays": [
		(LEAVES, "			for (unsigned i = first; i < last && tb.live; i++) {\n				u64 leaf = F::load(entry(tb, i));\n\n				if (!F::valid(leaf))",
			"			for (unsigned i = first; i + 1 < last && tb.live; i++) {\n				u64 leaf = F::load(entry(tb, i));\n\n				if (!F::valid(leaf))")],
	"a huge leaf stays": [
		(LEAVES, "			F::store(top, huge_level, F::retire(F::load(top)));\n			tb.top = table_top::huge_retired;\n			t.stat.add(stat::huge_zapped);",
			"			tb.top = table_top::huge_retired;\n			t.stat.add(stat::huge_zapped);")],
	"a hint speaks for leaves that are gone": [
		(LEAVES, "			drop_hint(tb, first);\n			drop_hint(tb, last);\n", "")],
	"the old way to a table is not flushed when a huge leaf takes its place": [
		(LEAVES, "			flush(t, whole(tb));\n			finish_small(t, tb, 0, G::entries);", "			finish_small(t, tb, 0, G::entries);")],
	"a page that the device wrote is not marked dirty": [
		(LEAVES, "		port_dma_release(t.domain, F::address(leaf, lv), lg2, F::writable(leaf));",
			"		port_dma_release(t.domain, F::address(leaf, lv), lg2, false);")],
	"every page may be written": [
		("mm/pt/source.hpp", "		bool write = word[i - first] & PORT_PAGE_WRITE;", "		bool write = word[i - first] & PORT_PAGE_VALID;")],
	"a table is freed without a grace period": [
		(RECLAIM, "	port_defer(vm.domain(), &n.link, &n);\n", "	svm_port_deferred(&n);\n")],
	"the shrinker does not flush the way to a table": [
		(RECLAIM, "	vm.tree.ops->flush_wait(vm.tree.backend, vm.tree.ops->flush_begin(vm.tree.backend, owed.start, owed.end), true);\n", "")],
	"the shrinker takes tables that are in use": [
		(RECLAIM, "	if (!idle)\n		return ++", "	if (false)\n		return ++"),
		(RECLAIM, "	if (tb.state.load_relaxed() != table_state::ready || !vm.format->idle(tb))", "	if (tb.state.load_relaxed() != table_state::ready)"),
		(WALK, "		SVM_ASSERT(tb.counted_idle && tb.top == table_top::none);\n", "")],
	"an unbind does not wait for faults under way": [
		(WINDOW, "	// Faults that saw the window alive have left after this; none maps through it any more.\n	port_synchronize(vm.domain());\n", "")],
	"an unbind frees what readers stand on": [
		(WINDOW, "	port_synchronize(vm.domain()); // for readers that still stand on the window, an interval or a table of it\n", "")],
	"a killed prefetch goes on": [
		("mm/prefetch.cpp", "			p.stop(static_cast<int>(err::intr));", "			p.pages.fetch_add_relaxed(0);")],
}
