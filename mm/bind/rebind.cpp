// SPDX-License-Identifier: GPL-2.0-only
// Binding and unbinding: see rebind.hpp for the steps.
#include "mm/bind/rebind.hpp"

#include "mm/bind/object.hpp"
#include "mm/reclaim.hpp"

namespace svm {

namespace {

// Where the binding of an offset is found in svm_vm::mirrors.
va_span key_of(u64 offset)
{
	u64 page = offset >> PORT_PAGE_LG2;

	return { page, page + 1 };
}

// The next version of a vm's bindings. What is not published is forgotten.
class change {
public:
	explicit change(svm_vm &of) : vm(of), map(of.bindings), mirrors(of.mirrors), advised(of.advised) {}
	~change();
	change(const change &) = delete;
	change &operator=(const change &) = delete;

	// Another operation; no two of a change meet.
	status add(const svm_bind_op &op);
	// Nothing more follows that may fail.
	status finish();
	// The old version of the map stays until the end of the change.
	void publish();

	rebinding described() const { return { all, map.before() }; }
	va_span hull() const { return all; }
	bool replaces() const { return replacing; }
	// After publish(): those of which spans were taken, or that were given some.
	binding *changed() const { return list; }

private:
	result<binding *> binding_for(const svm_bind_op &op);
	result<binding *> object_binding_for(const svm_bind_op &op);
	void note(binding &b, u64 more);
	status forget_advice(va_span span);

	svm_vm &vm;
	span_map::change map;
	span_map::change mirrors;
	span_map::change advised;
	binding *list = nullptr;
	va_span all{};		// hull of the operations
	bool replacing = false; // something else was bound in one of them
	bool published = false;
};

change::~change()
{
	if (published) {
		map.drop_old(vm.domain());
		return;
	}
	for (binding *b = list, *next; b; b = next) {
		next = b->next_in_change;
		b->in_change = false;
		b->more = 0;
		if (b->is_object())
			as_object(*b).coming = {};
		if (b->pages || b == &vm.null)
			continue;
		if (b->is_object()) // made for this change
			end_object_binding(as_object(*b)); // the caller has a reference too: this is not the last
		else
			destroy(b);
	}
}

void change::note(binding &b, u64 more)
{
	b.more += more;
	if (b.in_change)
		return;
	b.in_change = true;
	b.next_in_change = list;
	list = &b;
}

// One that leads on alike and borders on the span, or that holds a part of it, serves it as well: so neighbours are one piece.
result<binding *> change::object_binding_for(const svm_bind_op &op)
{
	const u64 near[] = { op.start ? op.start - 1 : op.start, op.start, op.end };

	for (u64 va : near) {
		auto *b = static_cast<binding *>(map.at(va).of);

		if (b && b->is_object() && as_object(*b).leads_like(op))
			return b;
	}
	result<object_binding *> made = make_object_binding(vm, op);
	if (!made.ok())
		return result<binding *>::from(made.error());
	note(*made.value(), 0);
	return made.value();
}

// Null: an operation that leaves a hole.
result<binding *> change::binding_for(const svm_bind_op &op)
{
	if (op.kind == SVM_BIND_NOTHING)
		return nullptr;
	if (op.kind == SVM_BIND_NULL)
		return &vm.null;
	if (op.kind == SVM_BIND_OBJECT)
		return object_binding_for(op);
	u64 offset = static_cast<u64>(op.offset);
	va_span key = key_of(offset);
	span_map::piece there = mirrors.next(key.start);
	if (there && there.span == key)
		return static_cast<binding *>(there.of);
	owner<binding> made = make<binding>(binding_kind::mirror, offset);
	if (!made)
		return err::nomem;
	status indexed = mirrors.replace(key, made.get());
	if (!indexed.ok())
		return result<binding *>::from(indexed.error());
	note(*made.get(), 0);
	return made.release();
}

// What the span is about to lead to was not told anything.
status change::forget_advice(va_span span)
{
	span_map::piece told = advised.next(span.start);

	return told && told.span.meets(span) ? advised.replace(span, nullptr) : status();
}

status change::add(const svm_bind_op &op)
{
	va_span span{ op.start, op.end };
	result<binding *> found = binding_for(op);

	if (!found.ok())
		return status::from(found.error());
	binding *to = found.value();
	for (span_map::piece p = map.next(span.start); p && p.span.start < span.end; p = map.next(p.span.end)) {
		auto *old = static_cast<binding *>(p.of);

		note(*old, 0 - p.span.common(span).pages());
		replacing |= old != to;
		status done = old != to ? forget_advice(p.span.common(span)) : status();
		if (!done.ok())
			return done;
	}
	if (to)
		note(*to, span.pages());
	if (to && to->is_object())
		as_object(*to).coming.join(span);
	all.join(span);
	return map.replace(span, to);
}

status change::finish()
{
	for (binding *b = list; b; b = b->next_in_change) {
		if (b->pages + b->more || !b->mirrors())
			continue;
		status done = mirrors.replace(key_of(b->offset), nullptr);
		if (!done.ok())
			return done;
	}
	return {};
}

void change::publish()
{
	for (binding *b = list; b; b = b->next_in_change) {
		if (!b->is_object() || as_object(*b).coming.empty())
			continue;
		vm.objects.fetch_add_relaxed(!as_object(*b).linked);
		link(as_object(*b)); // (17)
	}
	map.publish();
	mirrors.commit(vm.domain());
	advised.commit(vm.domain());
	for (binding *b = list; b; b = b->next_in_change) {
		b->pages += b->more;
		b->more = 0;
		b->in_change = false;
	}
	published = true;
}

bool in_part_bound(const svm_vm &vm, va_span span)
{
	span_map::piece p = vm.bindings.next(span.start);

	return p && p.span.meets(span);
}

struct emptying {
	svm_vm &vm;
	departure out;
};

bool empty_table(table &tb, va_span part, void *arg)
{
	auto *e = static_cast<emptying *>(arg);
	page_table &pt = e->vm.pt;

	port_relax();
	if (part == pt.span_of(tb) && e->out.take(tb, part, true))
		return true;
	{
		table_guard lock(tb.lock);
		// Also of one that another thread is taking out: the device may go by its leaves until that thread's flush.
		if (tb.state.load_relaxed() == table_state::dead)
			return true;
		tb.interval.store_relaxed(nullptr); // none is found there after the readers of now have left
		va_span owed = pt.retire(tb, part);
		// With all else that is retired in the table: a callback of that interval does not come back to it.
		pt.take_away(tb, owed.empty() ? owed : pt.span_of(tb));
	}
	if (!in_part_bound(e->vm, pt.span_of(tb)))
		e->out.take(tb, pt.span_of(tb), false);
	return true;
}

// Takes what the operations' spans still map by old bindings.
void empty_tables(svm_vm &vm, const svm_bind_op *ops, u32 count)
{
	reader section(vm.domain());
	emptying e{ vm, departure(vm) };

	full_barrier(); // B3 of rebind.hpp, with B2 in look()
	for (u32 i = 0; i < count; i++)
		vm.pt.visit({ ops[i].start, ops[i].end }, empty_table, &e);
	e.out.finish();
}

// Calls fn for each interval of the binding that meets the span. It may be taken out on the way.
template <typename Fn>
void each_interval(binding &b, va_span span, Fn fn)
{
	for (span_map::piece p = b.intervals.next(span.start); p && p.span.start < span.end; p = b.intervals.next(p.span.end))
		fn(*static_cast<interval *>(p.of));
}

// May the interval's block hold a span of its binding? It looks at so many: a notifier that stays calls in vain.
bool in_use(const svm_vm &vm, const interval &i)
{
	constexpr unsigned looks = 64;
	span_map::piece p = vm.bindings.next(i.span.start);

	for (unsigned n = 0; p && p.span.start < i.span.end; n++, p = vm.bindings.next(p.span.end)) {
		if (p.of == i.of || n == looks)
			return true;
	}
	return false;
}

// No fault finds it any more. False: killed, or no memory.
bool take_out(svm_vm &vm, binding &b, const interval &i)
{
	interval_guard lock(vm.domain());
	if (!lock.held().ok())
		return false;
	span_map::change index(b.intervals);
	if (!index.replace(i.span, nullptr).ok())
		return false;
	index.commit(vm.domain());
	return true;
}

// Ends the intervals that the hull has left without a span. No reader stands on them.
void end_unused(svm_vm &vm, binding &b, va_span hull)
{
	reader section(vm.domain()); // faults change the map of intervals

	each_interval(b, hull, [&](interval &i) {
		if (in_use(vm, i))
			return;
		if (take_out(vm, b, i)) // else it stays, and calls in vain
			end_interval(vm, i);
	});
}

// No reader stands on the binding, and no table maps by it.
void end_binding(svm_vm &vm, binding &b)
{
	each_interval(b, vm.pt.all(), [&](interval &i) { end_interval(vm, i); });
	destroy(&b);
}

// Object bindings that have ended, linked by `behind`.
class ended_objects {
public:
	ended_objects() = default;
	// Gives the objects back, which may call the driver: no lock is held, and no reader stands on the bindings.
	~ended_objects()
	{
		for (object_binding *b = first, *next; b; b = next) {
			next = b->behind;
			end_object_binding(*b);
		}
	}
	ended_objects(const ended_objects &) = delete;
	ended_objects &operator=(const ended_objects &) = delete;

	explicit operator bool() const { return first; }
	// Its object finds it no more.
	void take(svm_vm &vm, object_binding &b)
	{
		unlink(b);
		vm.objects.fetch_add_relaxed(~0ull);
		b.behind = first;
		first = &b;
	}

private:
	object_binding *first = nullptr;
};

void end_what_is_left(svm_vm &vm, change &c)
{
	for (binding *b = c.changed(), *next; b; b = next) {
		next = b->next_in_change;
		if (!b->mirrors())
			continue;
		if (b->pages)
			end_unused(vm, *b, c.hull());
		else
			end_binding(vm, *b);
	}
}

status check_object(const svm_bind_op &op)
{
	constexpr u32 cached = SVM_BIND_NONCOHERENT | SVM_BIND_UNCACHED, all = SVM_BIND_READ_ONLY | SVM_BIND_ON_DEMAND | cached;
	u64 first = static_cast<u64>(op.offset), size = op.end - op.start;

	if (!op.object || op.flags & ~all || (op.flags & cached) == cached || first % PORT_PAGE_SIZE)
		return err::inval;
	return first > op.object->size || size > op.object->size - first ? err::inval : status();
}

status check(const svm_vm &vm, const svm_bind_op &op)
{
	va_span span{ op.start, op.end };
	cpu_span cpu{ op.start - static_cast<u64>(op.offset), op.end - static_cast<u64>(op.offset) };
	cpu_span user{ 0, port_user_end(vm.domain()) };

	if (span.empty() || !span.page_aligned() || !vm.pt.all().holds(span))
		return err::inval;
	if (op.kind == SVM_BIND_OBJECT)
		return vm.no_fault && op.flags & SVM_BIND_ON_DEMAND ? err::inval : check_object(op);
	if (op.flags || op.object)
		return err::inval;
	if (op.kind == SVM_BIND_MIRROR && (cpu.empty() || !cpu.page_aligned() || !user.holds(cpu)))
		return err::inval;
	if (op.kind == SVM_BIND_MIRROR)
		return vm.no_fault ? all_mapped(vm, cpu) : status();
	if (op.kind > SVM_BIND_NULL || op.offset)
		return err::inval;
	return op.kind == SVM_BIND_NULL && !vm.pt.format->info.null ? err::opnotsupp : status();
}

// None is wrong by itself, and no two meet.
status check_all(const svm_vm &vm, const svm_bind_op *ops, u32 count)
{
	span_map seen;
	span_map::change so_far(seen);

	for (u32 i = 0; i < count; i++) {
		va_span span{ ops[i].start, ops[i].end };
		status done = check(vm, ops[i]);

		if (done.ok() && i) {
			span_map::piece next = so_far.next(span.start);
			if (next && next.span.meets(span))
				return err::inval;
		}
		if (done.ok() && count > 1)
			done = so_far.replace(span, const_cast<svm_bind_op *>(&ops[i]));
		if (!done.ok())
			return done;
	}
	return {};
}

va_span hull_of(const svm_bind_op *ops, u32 count)
{
	va_span all{};

	for (u32 i = 0; i < count; i++)
		all.join({ ops[i].start, ops[i].end });
	return all;
}

status rebind_locked(svm_vm &vm, const svm_bind_op *ops, u32 count, ended_objects &ended)
{
	bind_guard lock(vm.domain());
	if (!lock.held().ok())
		return lock.held();
	change next(vm);
	for (u32 i = 0; i < count; i++) {
		status added = next.add(ops[i]);
		if (!added.ok())
			return added;
	}
	status done = next.finish();
	if (!done.ok())
		return done;
	rebinding now = next.described();
	if (!next.replaces()) { // what was a hole has no leaves
		next.publish();
		return {};
	}
	vm.changing.store_release(&now); // with the acquires in look() and standing()
	next.publish();
	empty_tables(vm, ops, count);
	vm.changing.store_release(nullptr); // likewise
	for (binding *b = next.changed(); b; b = b->next_in_change) {
		if (b->is_object() && !b->pages)
			ended.take(vm, as_object(*b));
	}
	port_synchronize(vm.domain()); // for readers of the old map, of `now`, and of what ends now
	end_what_is_left(vm, next);
	return {};
}

} // namespace

status rebind(svm_vm &vm, const svm_bind_op *ops, u32 count)
{
	ended_objects ended;
	status done = check_all(vm, ops, count);

	if (!done.ok())
		return done;
	put_off(vm, 0);
	vm.stops.rebinding.fetch_add_relaxed(1);
	halt stopped(vm, hull_of(ops, count), true);
	done = rebind_locked(vm, ops, count, ended);
	vm.stops.rebinding.fetch_add_relaxed(0u - 1); // what is left waits for nobody
	// Also what lies beside an operation and went with it, in a leaf for all of the table.
	for (u32 i = 0; done.ok() && i < count && vm.objects.load_relaxed(); i++)
		fill_objects(vm, va_span{ ops[i].start, ops[i].end }.widened(vm.pt.table_lg2()));
	return done;
}

// No move of an object comes to the vm any more.
static void take_out_objects(svm_vm &vm, ended_objects &ended)
{
	for (span_map::piece p = vm.bindings.next(0); p; p = vm.bindings.next(p.span.end)) {
		auto &b = *static_cast<binding *>(p.of);

		if (b.is_object() && as_object(b).linked) // else another piece of it came first
			ended.take(vm, as_object(b));
	}
	if (ended)
		port_synchronize(vm.domain());
}

void end_bindings(svm_vm &vm)
{
	ended_objects ended;

	if (!vm.domain())
		return;
	take_out_objects(vm, ended);
	sweep(vm, vm.pt.all());
	port_synchronize(vm.domain()); // for the shrinker and for reclaim, which may stand on a table
	for (span_map::piece p = vm.mirrors.next(0); p; p = vm.mirrors.next(p.span.end)) // each turn goes past one
		end_binding(vm, *static_cast<binding *>(p.of));
}

} // namespace svm

extern "C" int svm_bind_many(svm_vm *vm, const svm_bind_op *ops, u32 count)
{
	return svm::rebind(*vm, ops, count).error();
}

extern "C" int svm_bind(svm_vm *vm, u64 start, u64 end, s64 offset)
{
	svm_bind_op op{ start, end, offset, SVM_BIND_MIRROR, 0, nullptr };

	return svm::rebind(*vm, &op, 1).error();
}

extern "C" int svm_bind_all(svm_vm *vm)
{
	u64 user = port_user_end(vm->domain()), device = vm->pt.all().end;

	return svm_bind(vm, 0, user < device ? user : device, 0);
}

extern "C" int svm_unbind(svm_vm *vm, u64 start, u64 end)
{
	svm_bind_op op{ start, end, 0, SVM_BIND_NOTHING, 0, nullptr };

	return svm::rebind(*vm, &op, 1).error();
}

namespace svm {

namespace {

svm_bind_op describe(const span_map::piece &p)
{
	auto &b = *static_cast<binding *>(p.of);

	if (b.mirrors())
		return { p.span.start, p.span.end, static_cast<s64>(b.offset), SVM_BIND_MIRROR, 0, nullptr };
	if (!b.is_object())
		return { p.span.start, p.span.end, 0, SVM_BIND_NULL, 0, nullptr };
	auto &o = as_object(b);
	return { p.span.start, p.span.end, static_cast<s64>(o.to_cpu(p.span.start)), SVM_BIND_OBJECT, o.flags, &o.object };
}

} // namespace

} // namespace svm

extern "C" u32 svm_bindings(svm_vm *vm, u64 from, svm_bind_op *out, u32 count)
{
	svm::reader section(vm->domain());
	u32 n = 0;

	for (svm::span_map::piece p = vm->bindings.next(from); p && n < count; p = vm->bindings.next(p.span.end))
		out[n++] = svm::describe(p);
	return n;
}
