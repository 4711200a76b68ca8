// SPDX-License-Identifier: GPL-2.0-only
// A device that lies, with a context and a queue, and what it says of so many jobs.
#pragma once

#include "driver_rig.hpp"

#include <gtest/gtest.h>

#include <set>

namespace svgpu::test {

inline device_options telling(const std::string &what)
{
	device_options o;

	o.evil = parse_evil(what);
	o.die = [] { FAIL() << "was not to die"; };
	return o;
}

// A rig that has a context and a queue, and jobs in it.
struct lying_rig : driver_rig {
	static constexpr u64 va = 0x2'0000'0000;

	explicit lying_rig(const std::string &what)
		: lying_rig(telling(what))
	{
	}
	explicit lying_rig(device_options o)
		: driver_rig(std::move(o))
	{
		set_up();
	}

	// The cookies that the device reports for so many jobs of one queue, garbage included.
	std::vector<u64> cookies(unsigned jobs)
	{
		std::set<u64> waited;
		std::vector<u64> said;

		for (unsigned i = 0; i < jobs; ++i)
			waited.insert(submit(SVGPU_KERNEL_NOP));
		wait_until("the ends of all jobs", [&] {
			for (svgpu_done done; try_done(done);) {
				said.push_back(done.cookie);
				statuses.insert(done.status);
				waited.erase(done.cookie);
			}
			return waited.empty();
		});
		return said;
	}

	// The ids that it reports for faults of so many jobs.
	std::vector<svgpu_fault> faults(unsigned jobs)
	{
		std::vector<svgpu_fault> said;

		for (unsigned i = 0; i < jobs; ++i) {
			u64 mine = submit(SVGPU_KERNEL_FILL, { va + i * page, 1, 1 });
			svgpu_done done{};

			wait_until("the end of a faulting job", [&] {
				for (svgpu_fault fault; try_fault(fault);) {
					said.push_back(fault);
					reply(fault.id, SVGPU_REPLY_FAIL);
				}
				return try_done(done) && done.cookie == mine;
			});
			statuses.insert(done.status);
		}
		return said;
	}

	std::set<unsigned> statuses;
};

} // namespace svgpu::test
