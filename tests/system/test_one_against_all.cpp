// SPDX-License-Identifier: GPL-2.0-only
/* One process takes what it can get of the device. The others go on. */
#include <cerrno>
#include <chrono>
#include <unistd.h>

#include "manager.hpp"

using namespace harness;

namespace {

using clock = std::chrono::steady_clock;

// Jobs of another process's, each with faults of its own, in a span of time.
unsigned jobs_done(std::chrono::milliseconds span)
{
	gpu gpu;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	unsigned done = 0;
	for (auto end = clock::now() + span; clock::now() < end; done++) {
		if (device_fill(gpu.queue, memory.bytes(), std::byte(done)))
			return 0;
		madvise(memory.data(), memory.size(), MADV_DONTNEED);
	}
	return done;
}

// Faults that wait for a manager who never answers: @ended of queues that ended, and @queues of queues that live.
struct silence {
	static constexpr std::size_t ended = 300, queues = 48;

	harness::gpu gpu;
	mapping memory{(ended + queues) * table_span, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
	manager asked{memory.bytes()};
	std::vector<svmirror::queue> living;

	// Each in a table of its own.
	bool waits(svmirror::queue &queue, std::size_t n)
	{
		queue.touch(memory.bytes(n * 512, 1), page, true);
		return asked.asked().has_value();
	}

	int begin()
	{
		for (std::size_t n = 0; n < ended; n++) {
			svmirror::queue queue(gpu.vm);
			if (!waits(queue, n) || queue.destroy())
				return 1;
		}
		for (std::size_t n = 0; n < queues; n++) {
			living.emplace_back(gpu.vm);
			if (!waits(living.back(), ended + n))
				return 2;
		}
		return 0;
	}
};

} // namespace

SVM_TEST_WITHIN(OneAgainstAll, FaultsThatNobodyAnswers, 240)
{
	unsigned alone = jobs_done(4s);
	ASSERT_GT(alone, 0u);
	signal_pipe begun, seen;
	child attacker([&] {
		silence all;
		if (int failed = all.begin())
			return failed;
		begun.send();
		return seen.wait(120s) ? 0 : 3;
	});
	ASSERT_TRUE(begun.wait(120s)) << "an engine or a record was held by a fault that waits";
	std::optional<numbers> held = driver_file("svm_leaks");
	ASSERT_TRUE(held);
	EXPECT_LE((*held)["faults"], silence::queues) << "faults of queues that ended are still there";
	EXPECT_GE(jobs_done(4s) * 2, alone) << "alone " << alone;
	seen.send();
	EXPECT_TRUE(attacker.succeeded());
	EXPECT_TRUE(nothing_held());
}
