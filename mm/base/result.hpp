// SPDX-License-Identifier: GPL-2.0-only
// result<T>: a T or a negative errno. It becomes an int only at the C boundary.
#pragma once

namespace svm {

// The errnos that the core makes or tells apart; Linux has the same numbers on every architecture we run on.
enum class err : int {
	perm = -1,
	intr = -4,
	io = -5,
	again = -11,
	nomem = -12,
	fault = -14,
	busy = -16,
	inval = -22,
	opnotsupp = -95,
	room = -28,  // ENOSPC: the backend's memory for tables is used up, between table_alloc() and with_room() only
	leaving = -116, // ESTALE: the table is being evicted, between fault_in() and with_room() only
	changing = -125, // ECANCELED: the binding is being replaced, between fault_in() and wait_for_bind() only
	absent = -61, // ENODATA: the object has no place, between fault_in() and bring() only
	misplaced = -18, // EXDEV: the page is to be in the device's memory, between fault_in() and move_first() only
	wait = -115, // EINPROGRESS, between port_fault() and port_wait() only
};

template <typename T>
class [[nodiscard]] result {
public:
	constexpr result(T v) : good(v), code(0) {}
	constexpr result(err e) : good{}, code(static_cast<int>(e)) {}
	static constexpr result from(int negative)
	{
		result r(T{});
		r.code = negative;
		return r;
	}

	constexpr bool ok() const { return code == 0; }
	constexpr T value() const { return good; }
	constexpr int error() const { return code; }

private:
	T good;
	int code;
};

template <>
class [[nodiscard]] result<void> {
public:
	constexpr result() = default;
	constexpr result(err e) : code(static_cast<int>(e)) {}
	static constexpr result from(int zero_or_negative)
	{
		result r;
		r.code = zero_or_negative;
		return r;
	}

	constexpr bool ok() const { return code == 0; }
	constexpr bool is(err e) const { return code == static_cast<int>(e); }
	constexpr int error() const { return code; }

private:
	int code = 0;
};

using status = result<void>;

} // namespace svm
