// SPDX-License-Identifier: GPL-2.0-only
// Setting advice, asking for it, and what a fault makes of it: see advice.hpp.
#include "mm/advice.hpp"

namespace svm {

namespace {

constexpr u32 places = SVM_PREFER_DEVICE + 1, manners = SVM_ON_FAULT_STAY + 1;

// By place and manner. The first one is no advice: it has no piece.
constexpr advice known[places][manners] = {
	{ { SVM_PREFER_NONE, SVM_ON_FAULT_MOVE }, { SVM_PREFER_NONE, SVM_ON_FAULT_STAY } },
	{ { SVM_PREFER_SYSTEM, SVM_ON_FAULT_MOVE }, { SVM_PREFER_SYSTEM, SVM_ON_FAULT_STAY } },
	{ { SVM_PREFER_DEVICE, SVM_ON_FAULT_MOVE }, { SVM_PREFER_DEVICE, SVM_ON_FAULT_STAY } },
};

// Null: no advice. Both numbers are known ones.
const advice *advice_of(u32 preferred, u32 on_fault)
{
	const advice *a = &known[preferred][on_fault];

	return a == &known[0][0] ? nullptr : a;
}

// For table::moved_at: never 0, and it wraps.
u32 now() { return static_cast<u32>(port_now_ms()) | 1; }

status check(const svm_vm &vm, const svm_advice &a)
{
	va_span span{ a.start, a.end };

	if (span.empty() || !span.page_aligned() || !vm.pt.all().holds(span) || a.preferred >= places || a.on_fault >= manners)
		return err::inval;
	return a.preferred == SVM_PREFER_DEVICE && !vm.memory ? err::opnotsupp : status();
}

// Under the bind lock: does all of the span mirror the process?
bool mirrors(const svm_vm &vm, va_span span)
{
	for (u64 at = span.start; at < span.end;) { // a piece on each turn
		span_map::piece p = vm.bindings.span_map::at(at);

		if (!p || !static_cast<const binding *>(p.of)->mirrors())
			return false;
		at = p.span.end;
	}
	return true;
}

status advise(svm_vm &vm, const svm_advice *ops, u32 count)
{
	if (vm.no_fault)
		return err::inval;
	for (u32 i = 0; i < count; i++) {
		status sound = check(vm, ops[i]);

		if (!sound.ok())
			return sound;
	}
	bind_guard lock(vm.domain());
	if (!lock.held().ok())
		return lock.held();
	span_map::change next(vm.advised);
	for (u32 i = 0; i < count; i++) {
		va_span span{ ops[i].start, ops[i].end };
		const advice *to = advice_of(ops[i].preferred, ops[i].on_fault);

		if (port_killed())
			return err::intr;
		if (to && !mirrors(vm, span))
			return err::inval;
		status done = next.replace(span, const_cast<advice *>(to));
		if (!done.ok())
			return done;
		port_relax();
	}
	next.commit(vm.domain());
	return {};
}

// Inside a reader section: the first part from `from` on that mirrors and has the same advice in all of it. Empty: there is none.
va_span next_span(const svm_vm &vm, u64 from, const advice *&of)
{
	span_map::piece p = vm.bindings.next(from);

	for (; p && !static_cast<const binding *>(p.of)->mirrors(); p = vm.bindings.next(p.span.end))
		port_relax();
	if (!p)
		return {};
	va_span all = p.span.common({ from, p.span.end });
	told t = told_at(vm, all.start);

	of = t.what ? t.what : &known[0][0];
	return all.common({ all.start, t.end });
}

struct counting {
	static constexpr unsigned at_a_time = 64; // tables in a reader section

	page_table &pt;
	svm_span &sum;
	u64 next;
	unsigned tables = 0;
};

bool count_table(table &tb, va_span part, void *arg)
{
	auto *c = static_cast<counting *>(arg);
	unsigned first = c->pt.index(part.start), n = static_cast<unsigned>(part.pages());

	port_relax();
	c->sum.pages += c->pt.present(tb, first, n, SVM_READ, nullptr);
	c->sum.device_pages += c->pt.in_vram(tb, first, n);
	c->next = part.end;
	return ++c->tables < counting::at_a_time;
}

// What the device reaches of the span.
void count_pages(svm_vm &vm, svm_span &sum)
{
	counting c{ vm.pt, sum, sum.start };

	do {
		reader section(vm.domain());

		c.tables = 0;
		vm.pt.visit({ c.next, sum.end }, count_table, &c);
	} while (c.tables == counting::at_a_time && c.next < sum.end && !port_killed());
}

} // namespace

bool claims_move(svm_vm &vm, table &tb, u64 va)
{
	told t = told_at(vm, va);
	u32 last = tb.moved_at.load_relaxed(); // a stale value fails the exchange

	if (!t.device() || t.what->on_fault != SVM_ON_FAULT_MOVE)
		return false;
	if (last && now() - last < advice_slice_ms)
		return false;
	return tb.moved_at.exchange_if(last, now());
}

status move_first(svm_vm &vm, u64 va, bool &tried)
{
	va_span part;
	u64 moved;

	{
		reader section(vm.domain());

		part = vm.advised.span_map::at(va).span.common(vm.pt.table_span(va));
	}
	if (!part.empty()) // else it is not told so any more
		(void)move_advised(vm, part, moved); // what has not moved is mapped where it is
	tried = true;
	reader section(vm.domain());
	if (table *tb = vm.pt.find(va))
		tb->moved_at.store_relaxed(now()); // with the load in claims_move(): a hint
	return {};
}

} // namespace svm

extern "C" int svm_advise(svm_vm *vm, const svm_advice *ops, u32 count)
{
	return svm::advise(*vm, ops, count).error();
}

extern "C" u32 svm_spans(svm_vm *vm, u64 from, svm_span *out, u32 count)
{
	u32 n = 0;

	for (; n < count; n++) {
		const svm::advice *of = nullptr;
		svm::va_span span;
		{
			svm::reader section(vm->domain());

			span = svm::next_span(*vm, from, of);
		}
		if (span.empty())
			break;
		out[n] = { span.start, span.end, of->preferred, of->on_fault, 0, 0 };
		svm::count_pages(*vm, out[n]);
		from = span.end;
	}
	return n;
}
