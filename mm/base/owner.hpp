// SPDX-License-Identifier: GPL-2.0-only
// owner<T>: the one holder of an object from port_alloc; moves only. make<T>() is null where memory ran out.
#pragma once

#include <new>

#include "mm/port.h"

namespace svm {

template <typename T>
void destroy(T *p)
{
	if (!p)
		return;
	p->~T();
	port_free(p);
}

template <typename T>
class owner {
public:
	owner() = default;
	explicit owner(T *p) : held(p) {}
	owner(owner &&o) : held(o.release()) {}
	owner &operator=(owner &&) = delete;
	~owner() { destroy(held); }

	T *release()
	{
		T *p = held;
		held = nullptr;
		return p;
	}
	T *get() const { return held; }
	T *operator->() const { return held; }
	T &operator*() const { return *held; }
	explicit operator bool() const { return held; }

private:
	T *held = nullptr;
};

template <typename T, typename... Args>
[[nodiscard]] owner<T> make(Args &&...args)
{
	void *p = port_alloc(sizeof(T));

	return owner<T>(p ? new (p) T(static_cast<Args &&>(args)...) : nullptr);
}

} // namespace svm
