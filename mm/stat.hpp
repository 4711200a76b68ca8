// SPDX-License-Identifier: GPL-2.0-only
// Counters of a vm, striped so that faults on several CPUs do not share a line. A gauge counts down by adding -1.
#pragma once

#include "include/svm/svm.h"
#include "mm/base/atomic.hpp"
#include "mm/port.h"

namespace svm {

enum class stat : u8 {
#define SVM_COUNTER(name) name
#include "include/svm/counters.h"
#undef SVM_COUNTER
	,
	count,
};

class counters {
public:
	class stripe {
	public:
		void add(stat which, u64 n = 1)
		{
			if (n)
				value[static_cast<unsigned>(which)].fetch_add_relaxed(n);
		}
		void sub(stat which, u64 n = 1) { add(which, 0 - n); }

	private:
		friend class counters;

		atomic<u64> value[24];
		[[maybe_unused]] u64 apart[8]; // a cache line: stripes share none, wherever the first one begins
	};
	static_assert(static_cast<unsigned>(stat::count) <= 24);

	// This CPU's share, for those who count several things.
	stripe &here() { return stripes[port_cpu() % stripe_count]; }

	// Inlined: most callers name the counter, and a call is dearer than what it does.
	[[gnu::always_inline]] void add(stat which, u64 n = 1)
	{
		if (n)
			here().add(which, n);
	}
	[[gnu::always_inline]] void sub(stat which, u64 n = 1) { add(which, 0 - n); }

	// A sum that may miss what runs at the same time.
	void read(svm_counters &out) const
	{
		u64 *sum = &out.faults;

		for (unsigned i = 0; i < static_cast<unsigned>(stat::count); i++) {
			sum[i] = 0;
			for (const stripe &s : stripes)
				sum[i] += s.value[i].load_relaxed();
		}
	}

private:
	static constexpr unsigned stripe_count = 16;
	stripe stripes[stripe_count];
};

} // namespace svm
