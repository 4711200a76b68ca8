// SPDX-License-Identifier: GPL-2.0-only
// Objects come, move and go: see object.hpp, and rebind.hpp for why it holds.
#include "mm/bind/object.hpp"

#include "mm/mirror.hpp"
#include "mm/room.hpp"
#include "svm/object.h"

namespace svm {

leaf_attrs object_binding::attrs() const
{
	cache_policy cache = flags & SVM_BIND_UNCACHED	  ? cache_policy::uncached :
			     flags & SVM_BIND_NONCOHERENT ? cache_policy::noncoherent :
							    cache_policy::coherent;

	return { .write = !read_only(), .atomic = !read_only(), .aperture = SVM_SYSTEM, .cache = cache };
}

namespace {

void drop(svm_object &o, placement *p)
{
	bool last;

	if (!p)
		return;
	{
		table_guard lock(o.lock);
		last = !--p->refs;
	}
	if (last)
		port_free(p);
}

void push(svm_object &o, object_binding &b) SVM_REQUIRES(o.lock)
{
	b.before = o.last;
	b.behind = nullptr;
	(o.last ? o.last->behind : o.first) = &b;
	o.last = &b;
}

void take_out(svm_object &o, object_binding &b) SVM_REQUIRES(o.lock)
{
	(b.before ? b.before->behind : o.first) = b.behind;
	(b.behind ? b.behind->before : o.last) = b.before;
}

// The next binding that this walk over the object's has not come to. It and its vm stay until the end of the scope.
class step {
	port_domain *domain = nullptr;
	int cookie = 0;

public:
	step(svm_object &o, u64 turn) : b(pick(o, turn)) {}
	~step()
	{
		if (b)
			port_read_exit(domain, cookie);
	}
	step(const step &) = delete;
	step &operator=(const step &) = delete;

	va_span hull{};
	object_binding *const b; // null: it has come to all

private:
	// unlink() takes the same lock, and a grace period follows it. So a reader section that begins here keeps the binding.
	object_binding *pick(svm_object &o, u64 turn)
	{
		table_guard lock(o.lock);
		object_binding *next = o.first;

		if (!next || next->turn == turn)
			return nullptr;
		take_out(o, *next);
		push(o, *next);
		next->turn = turn;
		hull = next->hull;
		domain = next->vm.domain();
		cookie = port_read_enter(domain);
		return next;
	}
};

u64 next_turn(svm_object &o)
{
	table_guard lock(o.lock);

	return ++o.turn;
}

struct displacing {
	svm_vm &vm;
	const object_binding &of;
	va_span owed{};
};

bool retire_object(table &tb, va_span part, void *arg)
{
	auto *d = static_cast<displacing *>(arg);

	port_relax();
	table_guard lock(tb.lock);
	if (tb.state.load_relaxed() == table_state::dead) // written under the lock
		return true;
	d->owed.join(retire_parts(d->vm, d->of, tb, part));
	return true;
}

// All leaves of the binding were retired before the flush, since no fault writes one that is displaced.
bool finish_object(table &tb, va_span part, void *arg)
{
	auto *d = static_cast<displacing *>(arg);

	port_relax();
	table_guard lock(tb.lock);
	if (tb.state.load_relaxed() == table_state::dead)
		return true;
	parts_of its(d->vm, d->of, part);
	for (va_span s = its.next(); !s.empty(); s = its.next())
		d->vm.pt.finish(tb, s);
	return true;
}

// What one table gets: the part that begins at va, and does not end behind `end`. va: where to go on.
status fill_part(svm_vm &vm, const object_binding &b, u64 &va, u64 end)
{
	wish asked{ .va = va, .want = { va, end }, .access = SVM_READ, .only = &b, .must = false };
	status done = fault_in(vm, asked);

	if (done.ok())
		va = asked.reached;
	return done;
}

// The parts of [at, end) that lead to `only`, or, where that is null, to any object. at: where to go on. Inside a reader section.
status fill_from(svm_vm &vm, const object_binding *only, u64 &at, u64 end)
{
	while (at < end) { // a piece, or a table's part of one, on each turn
		span_map::piece p = vm.bindings.next(at);

		if (!p || p.span.start >= end) {
			at = end;
			break;
		}
		auto &b = *static_cast<binding *>(p.of);
		if (!b.is_object() || as_object(b).flags & SVM_BIND_ON_DEMAND || (only && only != &b)) {
			at = p.span.end;
			continue;
		}
		if (at < p.span.start)
			at = p.span.start;
		status done = fill_part(vm, as_object(b), at, p.span.end < end ? p.span.end : end);
		if (!done.ok() && !done.is(err::fault)) // else it was bound to something else just now
			return done;
	}
	return {};
}

result<placement *> make_placement(const svm_object &o, const svm_extent *from, u32 count)
{
	u64 sum = 0;

	for (u32 i = 0; i < count; i++) {
		const svm_extent &e = from[i];

		if (!e.bytes || (e.bytes | e.address) % PORT_PAGE_SIZE || e.address + e.bytes < e.address || e.aperture > SVM_VRAM ||
		    e.bytes > o.size - sum)
			return err::inval;
		sum += e.bytes;
	}
	if (sum != o.size)
		return err::inval;
	void *memory = port_alloc(sizeof(placement) + u64(count) * sizeof(extent));
	if (!memory)
		return err::nomem;
	auto *p = new (memory) placement;
	extent *to = p->extents() - 1;
	sum = 0;
	for (u32 i = 0; i < count; i++) {
		const svm_extent &e = from[i];
		auto where = static_cast<svm_aperture>(e.aperture);

		if (p->count && to->address + (to->pages << PORT_PAGE_LG2) == e.address && to->aperture == where)
			to->pages += e.bytes >> PORT_PAGE_LG2;
		else
			new (++to) extent{ sum >> PORT_PAGE_LG2, e.bytes >> PORT_PAGE_LG2, e.address, where }, p->count++;
		p->vram |= where == SVM_VRAM;
		sum += e.bytes;
	}
	return p;
}

} // namespace

where_placed::where_placed(svm_object &of) : object(of)
{
	table_guard lock(of.lock);

	at = of.placed.load_relaxed(); // written under the lock
	if (at)
		at->refs++;
}

where_placed::~where_placed() { drop(object, at); }

result<object_binding *> make_object_binding(svm_vm &vm, const svm_bind_op &op)
{
	owner<object_binding> made = make<object_binding>(vm, *op.object, op.start - static_cast<u64>(op.offset), op.flags);

	if (!made)
		return err::nomem;
	svm_object_get(op.object);
	return made.release();
}

void link(object_binding &b)
{
	svm_object &o = b.object;
	table_guard lock(o.lock);

	b.hull.join(b.coming);
	b.coming = {};
	if (b.linked)
		return;
	b.linked = true;
	b.turn = o.turn; // a walk that is on its way has nothing to do in it
	push(o, b);
}

void unlink(object_binding &b)
{
	svm_object &o = b.object;
	table_guard lock(o.lock);

	take_out(o, b);
	b.linked = false;
}

void end_object_binding(object_binding &b)
{
	svm_object &o = b.object;

	destroy(&b);
	svm_object_put(&o);
}

status bring(svm_object &o)
{
	status done = o.ops.bring != nullptr ? status::from(o.ops.bring(o.arg)) : status(err::again);

	svm_object_put(&o);
	return done;
}

void fill_objects(svm_vm &vm, va_span span)
{
	session process(vm.domain());
	status done = process.held();
	u64 at = span.start;

	if (!done.ok())
		return;
	do { // as long as binds are under way: each turn waits for one
		done = with_room(vm, [&] {
			reader section(vm.domain());

			return fill_from(vm, nullptr, at, span.end);
		});
	} while (done.is(err::changing) && wait_for_bind(vm).ok());
}

} // namespace svm

extern "C" int svm_object_create(u64 size, const svm_object_ops *ops, void *arg, svm_object **out)
{
	static constexpr svm_object_ops none{};

	if (!size || size % PORT_PAGE_SIZE)
		return static_cast<int>(svm::err::inval);
	svm::owner<svm_object> made = svm::make<svm_object>(size, ops ? *ops : none, arg);
	if (!made)
		return static_cast<int>(svm::err::nomem);
	*out = made.release();
	return 0;
}

extern "C" void *svm_object_arg(const svm_object *o) { return o->arg; }

extern "C" void svm_object_get(svm_object *o)
{
	svm::table_guard lock(o->lock);

	o->refs++;
}

extern "C" void svm_object_put(svm_object *o)
{
	{
		svm::table_guard lock(o->lock);

		if (--o->refs)
			return;
	}
	// Before the object goes: a move of the driver's may be under way, which displaces it, and release() waits for its end
	if (o->ops.release)
		o->ops.release(o->arg);
	svm::drop(*o, o->placed.load_relaxed()); // nobody is left who could change it
	svm::destroy(o);
}

extern "C" int svm_object_place(svm_object *o, const svm_extent *extents, u32 count)
{
	svm::result<svm::placement *> made = svm::make_placement(*o, extents, count);

	if (!made.ok())
		return made.error();
	{
		svm::table_guard lock(o->lock);

		if (o->placed.load_relaxed()) {
			port_free(made.value());
			return static_cast<int>(svm::err::busy);
		}
		o->placed.store_relaxed(made.value()); // read under the lock, and compared under a table's
	}
	for (u64 turn = svm::next_turn(*o);;) { // ends: each binding is come to once
		svm::step next(*o, turn);

		if (!next.b)
			return 0;
		u64 at = next.hull.start;
		(void)svm::fill_from(next.b->vm, next.b, at, next.hull.end); // what is left comes by faults
	}
}

extern "C" void svm_object_displace(svm_object *o)
{
	svm::placement *was;
	{
		svm::table_guard lock(o->lock);

		was = o->placed.load_relaxed();
		o->placed.store_relaxed(nullptr);
	}
	if (!was)
		return;
	svm::full_barrier(); // B4 of rebind.hpp, with B2 in look()
	for (u64 turn = svm::next_turn(*o);;) { // ends: each binding is come to once
		svm::step next(*o, turn);

		if (!next.b)
			break;
		svm::put_off(next.b->vm, 0);
		svm::halt stopped(next.b->vm, next.hull, true);
		svm::displacing d{ next.b->vm, *next.b };
		d.vm.pt.visit(next.hull, svm::retire_object, &d);
		if (d.owed.empty())
			continue;
		d.vm.pt.flush(d.owed, true);
		d.vm.pt.visit(next.hull, svm::finish_object, &d);
	}
	svm::drop(*o, was);
}
