// SPDX-License-Identifier: GPL-2.0-only
// Objects: memory of the driver's that is bound into vms, and that moves. The driver says where it is (place) and that it is about
// to leave (displace). What displacing owes to faults and binds is in rebind.hpp, (16) to (18).
//
// An object knows the bindings that lead to it, in whatever vm. Its lock is a leaf: no other is taken under it, and it is not taken
// under a table's.
#pragma once

#include "mm/base/guard.hpp"
#include "mm/bind/binding.hpp"
#include "mm/pt/source.hpp"

struct svm_object_ops;
struct svm_vm;

namespace svm {

struct object_binding;

// Where an object's memory is, as long as it is there. The extents lie behind it in the same allocation.
struct placement {
	u64 refs = 1; // under the object's lock: the object's own, and those of faults that read the extents
	u32 count = 0;
	bool vram = false; // some of it is the device's own memory

	extent *extents() { return reinterpret_cast<extent *>(this + 1); }
	const extent *extents() const { return reinterpret_cast<const extent *>(this + 1); }
};

} // namespace svm

struct svm_object {
	svm_object(u64 bytes, const svm_object_ops &by, void *of) : size(bytes), ops(by), arg(of) {}

	const u64 size;
	const svm_object_ops &ops; // the driver's
	void *const arg;
	svm::table_lock lock;
	u64 refs SVM_GUARDED_BY(lock) = 1;
	// Changed under the lock. A fault compares it without: see place::holds().
	svm::atomic<svm::placement *> placed{ nullptr };
	// Its bindings: those that the walk with number `turn` has not come to yet are in front.
	svm::object_binding *first SVM_GUARDED_BY(lock) = nullptr;
	svm::object_binding *last SVM_GUARDED_BY(lock) = nullptr;
	u64 turn SVM_GUARDED_BY(lock) = 0;
};

namespace svm {

// Spans that lead to an object at one offset with the same flags: to_cpu(va) is the byte of the object.
struct object_binding : binding {
	object_binding(svm_vm &of, svm_object &leads_to, u64 by, u32 with)
		: binding(binding_kind::object, by), vm(of), object(leads_to), flags(with)
	{
	}

	bool read_only() const { return flags & SVM_BIND_READ_ONLY; }
	bool leads_like(const svm_bind_op &op) const
	{
		return &object == op.object && offset == op.start - static_cast<u64>(op.offset) && flags == op.flags;
	}
	leaf_attrs attrs() const;

	svm_vm &vm;
	svm_object &object; // holds a reference
	const u32 flags;
	va_span coming{};   // under the bind lock: hull of what the change that is being made binds so
	bool linked = false; // under the bind lock: is in the object's list
	// Under the object's lock:
	va_span hull{}; // of all that was bound so
	u64 turn = 0;
	object_binding *before = nullptr;
	object_binding *behind = nullptr;
};

inline object_binding &as_object(binding &b) { return static_cast<object_binding &>(b); }

// A binding of the object, with a reference to it.
result<object_binding *> make_object_binding(svm_vm &vm, const svm_bind_op &op);
// Before the map leads to it: from now on the object's moves come to `coming` too.
void link(object_binding &b);
// No leaf is of it, and no fault writes one. A move that is on its way in it has come to its end after a grace period.
void unlink(object_binding &b);
// No reader stands on it. Gives the reference back, which may call the driver: no lock is held.
void end_object_binding(object_binding &b);

// Where the object is now; it stays known so long, wherever the object goes.
class where_placed {
public:
	explicit where_placed(svm_object &of);
	~where_placed();
	where_placed(const where_placed &) = delete;
	where_placed &operator=(const where_placed &) = delete;

	const placement *get() const { return at; } // null: nowhere

private:
	svm_object &object;
	placement *at;
};

// The driver gives the object a place, where it can; err::again: it does not bring objects. Gives a reference back. Sleeps; under no
// lock, not in a reader section.
status bring(svm_object &o);

// Writes what objects have there and what is not bound on demand. What cannot be had at once is left to faults. Sleeps; not in
// a reader section.
void fill_objects(svm_vm &vm, va_span span);

} // namespace svm
