/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A plain record of what each page of a stretch of device addresses is bound to: the stretch in which the load rebinds.
 *
 * One thread at a time changes it. While it does, a page may lead where it led before or where it is to lead; from
 * the return of svm_bind_many() on only there. The device's accesses and the simulation's oracle ask leads().
 */
#ifndef SVM_TESTS_HOST_BOUND_HPP
#define SVM_TESTS_HOST_BOUND_HPP

#include "tests/host/buffer.hpp"
#include "tests/host/gpu.hpp"
#include "tests/host/mm.hpp"

#include <array>
#include <vector>

namespace svm_host
{

class bound
{
public:
	static constexpr unsigned TABLES = 2, PAGES = TABLES * 512;
	/* What a page is bound to, by number: objects from LENT on; the rest are mirrors. */
	static constexpr unsigned HOLE = 0, NULLS = 1, LENT = 2, LENDERS = 2, MIRRORS = LENT + LENDERS;

	/* Pages [first, last) of the stretch are to be bound to `what`. */
	struct part {
		unsigned first, last, what;
	};

	using lenders = std::array<const buffer *, LENDERS>;

	/*
	 * Everything is a mirror at the first offset. Elsewhere each address is, for ever. Page n of the stretch leads to page n of
	 * a buffer; the last one is bound on demand.
	 */
	void start_at(u64 start, std::vector<u64> offsets, lenders lent);

	bool holds(u64 va) const
	{
		return va >= start_ && va < end();
	}
	u64 start() const
	{
		return start_;
	}
	u64 end() const
	{
		return start_ + PAGES * PAGE;
	}
	u64 at(unsigned page) const
	{
		return start_ + page * PAGE;
	}
	unsigned kinds() const
	{
		return MIRRORS + unsigned(offsets_.size());
	}
	const std::vector<u64> &offsets() const
	{
		return offsets_;
	}

	/* See gpu::rule. */
	bool leads(u64 va, u64 cpu) const;
	/* It leads there, and nowhere else. */
	bool only_leads(u64 va, u64 cpu) const
	{
		return leads(va, cpu) && (!holds(va) || now(va) == next(va));
	}
	/* It leads to an object whose memory is in that frame now. For the oracle, while no other thread runs. */
	bool lent(u64 va, u32 frame) const;
	/* What it is bound to; asked by the thread that changes it. */
	unsigned what(u64 va) const
	{
		return now(va);
	}

	svm_bind_op op(const part &p) const;
	void changing(const part &p);
	void changed(const part &p, bool done);
	/* Do svm_bindings() say the same? */
	bool agrees(svm_vm *vm) const;

private:
	u32 state(u64 va) const
	{
		return state_[(va - start_) / PAGE].load();
	}
	unsigned now(u64 va) const
	{
		return state(va) & 0xff;
	}
	unsigned next(u64 va) const
	{
		return state(va) >> 8;
	}
	bool is(unsigned what, u64 va, u64 cpu) const;
	u64 page(u64 va) const
	{
		return (va - start_) / PAGE;
	}

	u64 start_ = 0;
	std::vector<u64> offsets_;
	lenders lent_{};
	std::array<std::atomic<u32>, PAGES> state_{}; /* now, and what it is to be << 8 */
};

} // namespace svm_host

#endif
