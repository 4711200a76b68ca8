/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which translations may exist, in the device's page tables and in its TLB, at any step:
 *
 *  - Ever: a translation of an address leads to the very frame that the CPU's entry names, and
 *    allows writing only where the CPU's entry does. (The CPU's entries change only between
 *    the callbacks of an invalidation and its end.) The CPU's entry is that of the address to which
 *    the device's is bound, or one of two while it is rebound; there is no translation where nothing is bound. Of an object, it
 *    leads to where the memory is: nowhere, from the return of svm_object_displace() on.
 *  - From the return of the last callback of an invalidation to its end: none of its span.
 *
 * It reads the device's tables as the device would and the CPU's as the kernel would, while
 * nobody else runs: all of a span when its callbacks have returned and when it ends, and one
 * page of the arena, in turn, on every step.
 */
#ifndef SVM_TESTS_SIM_ORACLE_HPP
#define SVM_TESTS_SIM_ORACLE_HPP

#include "tests/host/bound.hpp"
#include "tests/host/machine.hpp"

#include <vector>

namespace svm_sim
{

class oracle
{
public:
	/*
	 * CPU addresses [start, end), and up to far_end what small invalidations are about, and the device's addresses that
	 * lead there.
	 */
	oracle(svm_host::machine &m, u64 start, u64 end, u64 far_end, const svm_host::bound &b)
		: m_(m)
		, start_(start)
		, end_(end)
		, far_end_(far_end)
		, bound_(b)
		, next_(start)
	{
	}

	void announced(u64 start, u64 end);
	void ending(u64 start, u64 end);
	void step();
	u64 looked() const
	{
		return looked_;
	}

private:
	struct span {
		u64 start, end;
	};

	void look(u64 va);
	void check(const char *where, u64 va, const svm_host::translation &t);
	const char *fault_of(u64 va, const svm_host::translation &t, u64 cpu);
	template <typename Fn>
	void each(span s, Fn fn);
	span within(u64 start, u64 end) const;

	svm_host::machine &m_;
	u64 start_, end_, far_end_;
	const svm_host::bound &bound_;
	u64 next_;
	u64 looked_ = 0;
	std::vector<span> active_;
};

} // namespace svm_sim

#endif
