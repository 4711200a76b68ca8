# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of the core: faults put into it on purpose, each as edits of its text (file, what stands there, what is to).

`program` names what has to notice: the simulation (sim), or the unit tests (unit) where the simulation's oracle cannot
see the fault, or sees it too rarely. How an edit is read, plant.py says.
"""

MIRROR = "mm/mirror.cpp"
LEAVES = "mm/pt/leaves.hpp"
GATHER = "mm/pt/gather.hpp"
RECLAIM = "mm/reclaim.cpp"
REBIND = "mm/bind/rebind.cpp"
INTERVAL = "mm/bind/interval.cpp"
SPAN_MAP = "mm/bind/span_map.cpp"
WALK = "mm/pt/walk.hpp"
PREFETCH = "mm/prefetch.cpp"
SWEEP = "mm/sweep.hpp"
SCRATCH = "mm/scratch.hpp"
ROOM = "mm/room.cpp"
TABLE = "mm/pt/page_table.hpp"
VM = "mm/vm.hpp"
VM_CPP = "mm/vm.cpp"
OBJECT = "mm/bind/object.cpp"
STOPS = "mm/stops.cpp"
ADVICE = "mm/advice.cpp"

FLUSH = "		pt.flush(owed, may_sleep);"
VISIT = "	vm.pt.visit(part, svm::invalidate_table, &i);"
EARLY_FLUSH = "	vm.pt.flush({ b.to_va(hit.start), b.to_va(hit.end) }, may_sleep);\n"

# Of a rebind, see mm/bind/rebind.hpp.
TAKE_AWAY = "		pt.take_away(tb, owed.empty() ? owed : pt.span_of(tb));"
SET_CHANGING = "	vm.changing.store_release(&now); // with the acquires in look() and standing()\n"
PUBLISH = "	next.publish();\n	empty_tables(vm, ops, count);\n"
EMPTY = "	empty_tables(vm, ops, count);\n"
NO_CHANGING = "	vm.changing.store_release(nullptr); // likewise\n"
SYNCHRONIZE = "	port_synchronize(vm.domain()); // for readers of the old map, of `now`, and of what ends now\n"
END = "	end_what_is_left(vm, next);\n"

SIM = {
	"no barrier between an interval's sequence and the walk (B1)": [
		(MIRROR, "	svm::full_barrier(); // B1 of mirror.hpp, with B2 in look()", "")],
	"no barrier between a new table and its interval's sequence (B2)": [
		(MIRROR, "	full_barrier(); // B2 of mirror.hpp, with B1 in svm_port_invalidate(); and of rebind.hpp, with B3 in empty_tables()", "")],
	"emptied leaves are not published": [
		(LEAVES, "		settle(t, tb);\n		@{walk<F>::publish(t);}@\n	}\n\n	// Nothing is mapped", "")],
	"no sequence for an empty table": [
		(MIRROR, "tb.seq.store_relaxed(i->seq);", "if (tb.live || tb.retired) tb.seq.store_relaxed(i->seq);")],
	"no retry: the sequence is not looked at again": [
		(MIRROR, "seq && @{tb.seq.load_relaxed() != *seq}@", "false")],
	"a table does not take over the sequence of an interval that it meets": [
		(MIRROR, "seq > tb.seq.load_relaxed()", "false")],
	"a dead table is written": [
		(MIRROR, "	@{if (tb.state.load_relaxed() != table_state::ready) // written under the lock\n		return err::busy;}@\n	// Kept", "")],
	"pages that no leaf took stay mapped for DMA": [
		(MIRROR, "		if (left)\n			port_dma_release(vm.domain(), room.words, filled(), lg2, false);", "")],
	"a table's memory that was not needed leaks": [
		(MIRROR, "	if (fresh.cpu)\n		vm.pt.ops->table_free(vm.pt.backend, &fresh);", "")],
	"the TLB is flushed before the leaves go": [
		(GATHER, FLUSH, ""),
		(MIRROR, VISIT, EARLY_FLUSH + VISIT)],
	"the TLB is not flushed": [
		(GATHER, FLUSH, "")],
	"what another callback retired is not waited for": [
		(LEAVES, "			counted.sub(stat::present, before - tb.live);",
			"			counted.sub(stat::present, before - tb.live);\n"
			"			if (before == tb.live && tb.top != table_top::huge_retired)\n				return {};")],
	"the last leaf of a span stays": [
		(LEAVES, "*end = @{H::entry(tb, last)}@; e < end", "H::entry(tb, last - 1)")],
	"retired leaves count as written as the first of them does": [
		(LEAVES, "				flags = *word & (PORT_PAGE_VALID | PORT_PAGE_WRITE);\n", "")],
	"a page gets the rights of the page before it": [
		(LEAVES, "i < stop && @{src.kind_at(i) == like}@", "(src.kind_at(i) | PORT_PAGE_WRITE) == (like | PORT_PAGE_WRITE)")],
	"pages of a whole group get the rights of the first": [
		("mm/pt/source.hpp", "return !kind_of(@{differ}@);", "differ & ~PORT_PAGE_WRITE")],
	"a retired leaf stays where others became empty": [
		(LEAVES, "				*word = F::address(leaf, lv) >> PORT_PAGE_LG2 | flags;\n				@{F::store(e, lv, F::empty(lv));}@", "")],
	"a huge leaf stays": [
		(LEAVES, "			F::store(top, huge_level, F::retire(F::load(top)));", "")],
	"a hint speaks for leaves that are gone": [
		(LEAVES, "			H::drop_hints(tb, first, last);", "")],
	"a page that the device wrote is not marked dirty": [
		(LEAVES, "port_dma_release(t.domain, word, n, lg2, @{true}@);", "false")],
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
	"no barrier between the new map and the walk (B3)": [
		(REBIND, "	full_barrier(); // B3 of rebind.hpp, with B2 in look()", "")],
	"a callback asks for the map last": [
		(VM, "		return r ? r->old : now;", "		for (unsigned look = 0; look < 30; look++) // time for a rebind to come in between\n"
			"			(void)changing.load_relaxed();\n		return r ? r->old : bindings.now();")],
	"the map stands before it is said what is being replaced": [
		(REBIND, SET_CHANGING + PUBLISH, "next.publish();" + SET_CHANGING + EMPTY)],
	"displacing does not flush": [
		(OBJECT, "		d.vm.pt.flush(d.owed, true);", "")],
	"displacing retires, and forgets nothing": [
		(OBJECT, "		d.vm.pt.visit(next.hull, svm::finish_object, &d);", "")],
	"an object does not know of a part that is bound later": [
		(OBJECT, "	b.hull.join(b.coming);", "	if (b.hull.empty())\n		b.hull = b.coming;")],
	"the map leads to an object that does not know of it": [
		(REBIND, "		@{link(as_object(*b));}@ // (17)", "if (as_object(*b).linked) link(as_object(*b));")],
	"what is lent is given back": [
		(VM_CPP, "@{static_cast<const binding *>(p.of)->mirrors()}@", "true")],
	"a killed prefetch goes on": [
		(SWEEP, "!why && @{port_killed()}@)", "false")],
}

UNIT = {
	"a restore resumes without looking for halts": [
		(STOPS, "	if (@{vm.stops.begun != seen || vm.stops.ended != seen}@) // (20)", "false")],
	"a restore looks for halts that ended, not for those under way": [
		(STOPS, "	if (@{vm.stops.begun != seen || vm.stops.ended != seen}@) // (20)", "vm.stops.ended != seen")],
	"leaves go before the device has stopped": [
		(STOPS, "	vm->pt.ops->flush_wait(vm->pt.backend, token, may_sleep); // (19)", "")],
	"an invalidation does not stop the jobs": [
		(MIRROR, "@{vm.no_fault && svm::binds(vm, b, part) ? part : svm::va_span{}}@", "svm::va_span{}")],
	"an invalidation stops jobs that it does not concern": [
		(MIRROR, "@{vm.no_fault && svm::binds(vm, b, part) ? part : svm::va_span{}}@", "part")],
	"displacing does not stop the jobs": [
		(OBJECT, "		svm::halt stopped(next.b->vm, next.hull, true);", "")],
	"a bind does not stop the jobs": [
		(REBIND, "	halt stopped(vm, hull_of(ops, count), true);", "")],
	"a fault that was spoiled again and again asks for the whole table": [
		(MIRROR, "attempt >= narrow_after", "false")],
	"a fault that was spoiled again and again asks for its granule": [
		(MIRROR, "attempt >= page_after", "false")],
	"a zap flushes its own pages, not the groups that they are in": [
		(LEAVES, "? whole(tb) : @{widened(part(tb, first, last))}@;", "part(tb, first, last)")],
	"the old way to a table is not flushed when a huge leaf takes its place": [
		(LEAVES, "			t.flush(whole(tb), false);\n			finish_small(t, tb, 0, G::entries, owned);",
			"			finish_small(t, tb, 0, G::entries, owned);")],
	"a granted right is flushed for its own page, not for the group that it is in": [
		(LEAVES, "widened(part(tb, first, first + count))", "part(tb, first, first + count)")],
	"new leaves are not published": [
		(LEAVES, "		settle(t, tb);\n		@{walk<F>::publish(t);}@\n	}\n\n	// Takes [first", "")],
	"the empty words of a new table are not published": [
		(WALK, "		if (F::empty(lv))\n			publish(t);", "")],
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
	"an unbind waits for a whole prefetch": [
		(SWEEP, "		port_parallel(vm.domain(), tables < threads ? static_cast<u32>(tables) : threads, work, this);",
			"		reader all(vm.domain());\n"
			"		port_parallel(vm.domain(), tables < threads ? static_cast<u32>(tables) : threads, work, this);")],
	"read-only pages count as prefetched for writing": [
		(PREFETCH, "pages_present(p.vm, part, @{p.access}@)", "SVM_READ")],
	"a prefetch goes on when the device goes": [
		("mm/vm.hpp", "return @{vm.pt.ops->gone != nullptr}@ ?", "false")],
	"a prefetch waits for the same page again and again": [
		(PREFETCH, "if (@{page.va == waited}@)", "false")],
	"a prefetch maps what the table has": [
		(MIRROR, "count - @{vm.pt.present(*at.tb, vm.pt.index(reach.start), count, asked.access, room.have)}@",
			"(__builtin_memset(room.have, 0, (count + 63) / 64 * sizeof(u64)), 0u)")],
	"a prefetch takes table memory for nothing": [
		(MIRROR, "wanted && @{left}@", "true")],
	"a prefetch takes what lies outside of its span": [
		(MIRROR, "		if (!asked.must)\n			all = all.common({ asked.va, asked.want.end });", "")],
	"a sparse table is looked at as a whole": [
		(MIRROR, "if (@{asked.must && at.tb->sparse.load_relaxed()}@) // with", "false")],
	"a table that was sparse once is looked at in pieces for ever": [
		(MIRROR, "bool found = @{port.block || port.mapped > asked.want.pages()}@;", "false")],
	"a block is looked for where the table has leaves": [
		(MIRROR, "may && @{missing == count}@ ?", "true")],
	"of several tables a gather finishes the last": [
		(GATHER, "only = @{owed.empty() || only == &tb}@ ? &tb : nullptr;", "true")],
	"leaves that were not taken are given back only where there are none": [
		(MIRROR, "		if (@{left}@)\n			port_dma_release", "!left")],
	"a fork flushes for each mapping": [
		(MIRROR, "if (@{forking}@) // one flush", "false")],
	"every callback takes whole tables": [
		(MIRROR, "if (@{forking}@) // one flush", "true")],
	"two faults share one scratch buffer": [
		(SCRATCH, "!s.busy.fetch_or_acquire(1)", "(s.busy.fetch_or_acquire(1), true)")],
	"a scratch buffer is taken without looking whether it is free": [
		(SCRATCH, "!s.busy.load_relaxed() && !s.busy.fetch_or_acquire(1)", "(s.busy.fetch_or_acquire(1), true)")],
	"a scratch buffer is never given back": [
		(SCRATCH, "			held->busy.fetch_and_release(0);", "held->busy.load_relaxed();")],
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
		(WALK, "		count.add(stat::tables_made);", "count.add(stat::tables_made); t.count_piece();"),
		(WALK, "		if (@{tb.mem.cpu}@)\n			t.discount_piece();", "&tb")],
	"nobody is told what is being replaced": [
		(REBIND, SET_CHANGING, ";")],
	"displacing forgets what others have retired": [
		(OBJECT, "@{s = its.next()}@)\n		d->vm.pt.finish", "s = va_span()"), (OBJECT, "		d->vm.pt.finish(tb, s);", "d->vm.pt.finish(tb, part);")],
	"a fault writes where an object was": [
		(MIRROR, "!memory || @{as_object(*of).object.placed.load_relaxed() == memory}@;", "true")],
	"an object is not filled after a move": [
		(OBJECT, "		(void)svm::fill_from(next.b->vm, next.b, at, next.hull.end);", ";")],
	"an object is not filled when it is bound": [
		(REBIND, "fill_objects(vm, @{va_span{ ops[i].start, ops[i].end }.widened(vm.pt.table_lg2())}@);", "va_span()")],
	"what went with a large leaf is not filled again": [
		(REBIND, "fill_objects(vm, @{va_span{ ops[i].start, ops[i].end }.widened(vm.pt.table_lg2())}@);", "(va_span{ ops[i].start, ops[i].end })")],
	"what is bound on demand is filled": [
		(OBJECT, "@{as_object(b).flags & SVM_BIND_ON_DEMAND}@ ||", "false")],
	"a read-only object may be written": [
		(OBJECT, ".write = @{!read_only()}@", "true")],
	"a write to a read-only object comes again and again": [
		(MIRROR, "asked.access != SVM_READ && @{b.read_only()}@", "false")],
	"a lost device counts lent pages as mapped": [
		(LEAVES, "			tb.unowned = tb.unowned + (tb.live - before);", "if (S::null) tb.unowned = tb.unowned + (tb.live - before);")],
	"a fault that has an object brought keeps its reference": [
		(OBJECT, "	svm_object_put(&o);\n	return done;", "	if (!o.ops.bring) svm_object_put(&o);\n	return done;")],
	"an object without a place is not asked for": [
		(OBJECT, "status done = @{o.ops.bring != nullptr}@ ?", "false")],
	"an object ends although it is bound": [
		(OBJECT, "	svm_object_get(op.object);", ";")],
	"an object may be smaller than its span": [
		(REBIND, "size > @{op.object->size - first}@ ?", "op.object->size")],
	"an object that is bound beside itself is another binding": [
		(REBIND, "b && b->is_object() && @{as_object(*b).leads_like(op)}@", "false")],
	"extents may be more than the object": [
		(OBJECT, "@{e.bytes > o.size - sum}@)", "false")],
	"displacing comes to the first binding only": [
		(OBJECT, "		d.vm.pt.visit(next.hull, svm::finish_object, &d);", "d.vm.pt.visit(next.hull, svm::finish_object, &d); break;")],
	"a fault maps beside what is being replaced": [
		(MIRROR, "changing && changing->hull.meets(all)", "false")],
	"a callback leaves what is being replaced": [
		(VM, "return @{r ? r->old : now}@;", "now")],
	"what is being replaced is over before the tables are empty": [
		(REBIND, EMPTY, NO_CHANGING + EMPTY)],
	"the map is not looked at again before leaves are written": [
		(MIRROR, "if (@{now.of != of || !now.span.holds(part)}@)", "false")],
	"leaves are written whose table the table's is not any more": [
		(MIRROR, "tb->interval.load_relaxed() != (alone ? in : nullptr)", "false")],
	"a table stays its interval's when a part is replaced": [
		(REBIND, "		tb.interval.store_relaxed(nullptr);", "")],
	"a table is one interval's although a part leads elsewhere": [
		(MIRROR, "at.alone = @{at.span == all}@;", "true")],
	"what is replaced is given back without a flush": [
		(REBIND, TAKE_AWAY, "if (!owed.empty()) pt.finish(tb, pt.span_of(tb));")],
	"what is replaced is flushed, but not retired": [
		(REBIND, "va_span owed = @{pt.retire(tb, part)}@;", "part")],
	"what is replaced is retired, but not given back": [
		(REBIND, TAKE_AWAY, "pt.flush(part, false);")],
	"a rebind leaves what a callback has retired in a part that it does not touch": [
		(REBIND, "owed.empty() ? owed : @{pt.span_of(tb)}@", "part")],
	"a callback that comes back gives back what others have retired": [
		(GATHER, "!g->of_interval || @{tb.interval.load_relaxed() == g->of_interval}@", "true")],
	"a callback takes tables of one interval only": [
		(MIRROR, "		i->vm.pt.take_away(tb, retire_parts(i->vm, *i->in.of, tb, part));", ";")],
	"a callback gives back what it takes of a shared table without a flush": [
		(MIRROR, "		i->vm.pt.take_away(tb, retire_parts(i->vm, *i->in.of, tb, part));",
		 "{ va_span owed = retire_parts(i->vm, *i->in.of, tb, part); if (!owed.empty()) i->vm.pt.finish(tb, owed); }")],
	"a callback takes what other bindings have in the table": [
		(VM, "if (@{p.of == &of}@ && !here.empty())", "true")],
	"a callback takes the tables of other intervals": [
		(MIRROR, "if (@{alone && alone != &i->in}@)", "false")],
	"a rebind does not wait for readers": [
		(REBIND, SYNCHRONIZE, ";")],
	"a rebind frees what readers stand on": [
		(REBIND, SYNCHRONIZE + END, END + SYNCHRONIZE)],
	"an interval ends while a span in its block leads to its binding": [
		(REBIND, "if (@{in_use(vm, i)}@)", "false")],
	"intervals stay when nothing leads to them": [
		(REBIND, "if (@{in_use(vm, i)}@)", "true")],
	"all of a span that is cut counts as gone": [
		(REBIND, "0 - @{p.span.common(span).pages()}@", "p.span.pages()")],
	"a binding does not count what it is given": [
		(REBIND, "		note(*to, span.pages());", "note(*to, 0);")],
	"a binding that nothing leads to is found again": [
		(REBIND, "		status done = @{mirrors.replace(key_of(b->offset), nullptr)}@;", "status()")],
	"a bind that fails keeps what it made": [
		(REBIND, "		else\n			@{destroy(b);}@\n", ";")],
	"a bind over the same counts as replacing": [
		(REBIND, "replacing |= @{old != to}@;", "true")],
	"a bind of one thing over another counts as none": [
		(REBIND, "replacing |= @{old != to}@;", "!to")],
	"operations of one call may meet": [
		(REBIND, "if (@{next && next.span.meets(span)}@)", "false")],
	"tables stay when nothing is bound in them": [
		(REBIND, "if (@{!in_part_bound(e->vm, pt.span_of(tb))}@)", "false")],
	"a whole table goes where a part is replaced": [
		(REBIND, "@{part == pt.span_of(tb)}@ && e->out.take(tb, part, true)", "e->out.take(tb, pt.span_of(tb), true)")],
	"a part that is bound again to the same is cut off": [
		(SPAN_MAP, "above.span.start <= span.end", "above.span.start == span.end")],
	"what lies below a span is not joined with it": [
		(SPAN_MAP, "below.of == of && @{below.span.end >= span.start}@", "false")],
	"a fault does not wait for a bind": [
		(MIRROR, "		if (done.is(err::changing))\n			@{done = wait_for_bind(vm);}@", "done = {};")],
	"a prefetch does not wait for a bind": [
		(PREFETCH, "			@{done = wait_for_bind(p.vm);}@", "done = {};")],
	"a fault waits for a page that is bound no more": [
		(MIRROR, "return @{now->mirrors() && now->to_cpu(align_down(va, PORT_PAGE_LG2)) == cpu}@ ?", "true")],
	"a table is made for what was unbound meanwhile": [
		(MIRROR, "if (@{!at.tb && vm.bindings.at(va) != at.of}@)", "false")],
	"null takes all of a table of which it has a part": [
		(MIRROR, "vm.pt.format->huge_null && @{at.span == vm.pt.table_span(asked.va)}@", "true")],
	"an interval reaches below the user's addresses": [
		(INTERVAL, "va - (@{below < cpu}@ ? below : cpu)", "true")],
	"an interval reaches beyond the user's addresses": [
		(INTERVAL, "va + (@{above < to_end}@ ? above : to_end)", "true")],
}

# One at least in each format's own code; the words are in tests/unit/decode_test.cpp and golden_test.cpp.
FORMATS = {
	"a page is given back for a null leaf": [
		(LEAVES, "if (@{F::is_null(leaf)}@ || F::aperture(leaf) == SVM_VRAM)\n			return unowned_word;", "false")],
	"a page of VRAM is given back like one that is mapped for DMA": [
		(LEAVES, "if (F::is_null(leaf) || @{F::aperture(leaf) == SVM_VRAM}@)", "false")],
	"pages of VRAM count among those that are mapped for DMA": [
		(LEAVES, "static_cast<u16>(tb.unowned + @{src.unowned_taken()}@)", "0")],
	"a page of VRAM is written as if it were one of system memory beside it": [
		("mm/pt/source.hpp", "return w & (PORT_PAGE_VALID | PORT_PAGE_WRITE | @{PORT_PAGE_VRAM}@);", "0")],
	"what mirrors nothing is moved": [
		("mm/migrate.cpp", "b && @{b->mirrors()}@ ?", "true")],
	"a fragment outlives a cut through it": [
		("mm/pt/groups.hpp", "if (@{cuts_group(tb, first)}@)", "false")],
	"xe2: PAT2 of a large leaf is where that of a page is": [
		("mm/fmt/xe2.hpp", "bit(@{large ? 12 : 7}@)", "7")],
	"xe2: a null leaf leads to page 0": [
		("mm/fmt/xe2.hpp", "{ true, true, SVM_SYSTEM }) | @{null}@;", "0")],
	"nv: big pages lie where the small ones do": [
		("mm/fmt/nv.hpp", "addr += @{small_bytes}@;", "0")],
	"nv: a big page stays when its group becomes uneven": [
		("mm/fmt/nv.hpp", "static void clear_side(void *table, unsigned group) { @{put(side(table), group, 0, __ATOMIC_RELAXED);}@ }", "")],
	"nv_v2: a retired large leaf looks like a pointer": [
		("mm/fmt/nv_v2.hpp", "(w & @{(address_mask | read_only)}@) | gone", "(address_mask | read_only | aperture_mask)")],
	"nv_v3: memory that is not coherent is mapped as coherent": [
		("mm/fmt/nv_v3.hpp", "a.cache == cache_policy::noncoherent ? @{3 << 1}@ : 2 << 1", "2 << 1")],
	"amd: a large leaf has a page's fragment": [
		("mm/fmt/amd.hpp", "static_cast<u64>(@{levels[lv].shift - 12}@) << fragment_shift : 0", "0")],
	"amd_gfx9: the leaf bit is off by one": [
		("mm/fmt/amd_gfx9.hpp", "lv < 3 ? @{bit(54)}@ : 0", "bit(53)")],
	"amd_gfx12: pages lack the leaf bit": [
		("mm/fmt/amd_gfx12.hpp", "leaf_bit(unsigned) { return @{bit(63)}@; }", "0")],
	"mlx5_odp: words are little-endian": [
		("mm/fmt/mlx5_odp.hpp", "static_cast<u64 *>(entry), @{__builtin_bswap64(w)}@, order", "w")],
}
UNIT |= FORMATS

ADVISED = {
	"what bounces moves at each fault": [
		(ADVICE, "last && now() - last < advice_slice_ms", "false")],
	"the slice begins with the fault, not when the move has ended": [
		(ADVICE, "		tb->moved_at.store_relaxed(now()); // with the load in claims_move(): a hint", "		(void)tb;")],
	"a fault does not know that it has moved": [
		(ADVICE, "	tried = true;", "")],
	"a fault moves what is to stay": [
		(ADVICE, "!t.device() || @{t.what->on_fault != SVM_ON_FAULT_MOVE}@", "false")],
	"advice for what mirrors nothing": [
		(ADVICE, "to && !mirrors(vm, span)", "false")],
	"a bind to something else keeps the advice": [
		(REBIND, "status done = @{old != to}@ ? forget_advice", "false")],
	"an advised move takes what is told otherwise": [
		("mm/migrate.cpp", "		if (!t.device())\n			return {};", "")],
}
UNIT |= ADVISED

# Those that one of the simulation's scenarios shows much sooner than all of them in turn.
SOON = {
	"no barrier between an interval's sequence and the walk (B1)": "tables_are_new",
	"no barrier between a new table and its interval's sequence (B2)": "tables_are_new",
	"a table does not take over the sequence of an interval that it meets": "tables_are_new",
	"a page that the device wrote is not marked dirty": "at_an_offset",
	"no barrier between the new map and the walk (B3)": "buffers_move",
	"a callback asks for the map last": "rebinds_without_memory",
	"the map stands before it is said what is being replaced": "rebinds_without_memory",
	"displacing does not flush": "rebinds_without_memory",
	"displacing retires, and forgets nothing": "rebinds_without_memory",
	"an object does not know of a part that is bound later": "rebinds_without_memory",
	"the map leads to an object that does not know of it": "rebinds_without_memory",
	"what is lent is given back": "rebinds_without_memory",
	"a killed prefetch goes on": "prefetch_is_killed",
}

MUTANTS = [{"name": name, "program": program, "edits": edits, "scenario": SOON.get(name, "")}
	for program, table in (("svm_sim_mutants", SIM), ("svm_unit_mutants", UNIT)) for name, edits in table.items()]
