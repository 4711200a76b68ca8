// SPDX-License-Identifier: GPL-2.0-only
/* Memory for page tables that does not suffice, or should not be used up. */
#include <cerrno>
#include <chrono>

#include "machine.hpp"

using namespace harness;
using namespace machine;

namespace {

using clock = std::chrono::steady_clock;

// Granules of one page: a fault makes no neighbour present.
constexpr svmirror_vm_options by_the_page{.interval_lg2 = 0, .granule_lg2 = 12, .flags = 0};

constexpr int reserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

// Under lockdep everything takes many times longer: a part of the work meets the same code.
const bool short_of_time = !access("/proc/lockdep", F_OK);

// Of the throughput beside the one attack, that beside the other has at least a half; where there is one round, which is too
// short for a close look, at least a third.
const int share = short_of_time ? 3 : 2;

// A process that faults at one page after the other. A hungry round touches a new table with each page, a dense round
// stays in a few tables. Otherwise the rounds are alike: half of the pages go again, and the other half stays.
struct attack {
	static constexpr std::size_t dense_touches = 1000, touches = 4000, part = 500;
	const std::size_t rounds = short_of_time ? 1 : 4, tables = rounds * touches;

	signal_pipe go[2], done; // dense, hungry

	int touch(svmirror::queue &queue, std::byte *from, std::size_t stride, std::size_t count)
	{
		for (std::size_t i = 0; i < count; i += part) {
			std::span<std::byte> some{from + i * stride, part * stride};
			if (int status = finish(queue.touch(some, stride, true)).status)
				return -status;
			if (i < count / 2 && madvise(some.data(), some.size(), MADV_DONTNEED))
				return errno;
		}
		return 0;
	}

	// 0 or the errno that a job ended with.
	int run()
	{
		gpu gpu(by_the_page);
		mapping sparse(tables * table_span, PROT_READ | PROT_WRITE, reserve), dense(dense_touches * page);
		sparse.no_huge_pages();
		dense.no_huge_pages();
		for (std::size_t round = 0; round < rounds; round++) {
			if (!go[0].wait())
				return ETIME;
			if (int error = touch(gpu.queue, dense.data(), page, dense_touches))
				return error;
			madvise(dense.data(), dense.size(), MADV_DONTNEED);
			done.send();
			if (!go[1].wait())
				return ETIME;
			if (int error = touch(gpu.queue, sparse.data() + round * touches * table_span, table_span, touches))
				return error;
			done.send();
		}
		return gpu.vm.counters().tables_made < tables ? ERANGE : 0;
	}
};

struct work {
	unsigned jobs = 0;
	std::chrono::duration<double> time{};

	double rate() const { return jobs / time.count(); }
};

// Jobs with faults of their own for as long as a round of the attack lasts. False: one failed, or the attack did.
bool beside(gpu &gpu, const mapping &memory, signal_pipe &go, signal_pipe &done, work &all)
{
	auto begin = clock::now();
	go.send();
	while (!done.wait(0ms)) {
		if (clock::now() - begin > 100s || device_fill(gpu.queue, memory.bytes(), std::byte(all.jobs)))
			return false;
		madvise(memory.data(), memory.size(), MADV_DONTNEED);
		all.jobs++;
	}
	all.time += clock::now() - begin;
	return true;
}

} // namespace

// A process uses up the memory for tables, again and again. Neither it nor others notice.
SVM_TEST_WITHIN(TableMemory, OneProcessTouchesMoreTablesThanThereIsRoomFor, 400)
{
	attack attack;
	child attacker([&] { return attack.run(); });
	work dense, hungry;
	{
		gpu gpu;
		mapping memory(2 * mib);
		memory.no_huge_pages();
		svmirror::gpu_info info = gpu.device.gpu();
		std::size_t room = info.tables_in_vram ? info.vram_bytes / page : 0;
		ASSERT_LT(room, attack::touches / 2) << "there is room for what a round leaves";
		for (std::size_t round = 0; round < attack.rounds; round++) {
			ASSERT_TRUE(beside(gpu, memory, attack.go[0], attack.done, dense)) << "round " << round;
			ASSERT_TRUE(beside(gpu, memory, attack.go[1], attack.done, hungry)) << "round " << round;
			// there is room for another process
			child newcomer([] {
				harness::gpu other;
				mapping some(page);
				return device_write(other.queue, some.data(), std::byte{1});
			});
			EXPECT_TRUE(newcomer.succeeded()) << "round " << round;
		}
	}
	std::fprintf(stderr, "beside touches of few tables %.1f jobs/s, of many %.1f jobs/s\n", dense.rate(), hungry.rate());
	EXPECT_GE(hungry.rate() * share, dense.rate());
	EXPECT_TRUE(attacker.succeeded());
	EXPECT_TRUE(nothing_held());
}

// What a process touches for a moment costs nothing for long, wherever in its address space that was.
SVM_TEST_WITHIN(TableMemory, SparseTouchesOf128TiB, 240)
{
	const std::uint64_t step = (short_of_time ? 128ull : 32ull) << 30, end = 1ull << 47;
	constexpr unsigned at_a_time = 64;
	memory_group group("sparse");
	signal_pipe touched, seen;
	child toucher([&] {
		group.join();
		gpu gpu(by_the_page);
		for (std::uint64_t va = step; va < end; va += at_a_time * step) {
			void *pages[at_a_time] = {};
			std::uint64_t stop = std::min(va + at_a_time * step, end);
			// where the program itself has memory, that is as good
			for (unsigned i = 0; va + i * step < stop; i++) {
				void *at = mmap(reinterpret_cast<void *>(va + i * step), page, PROT_READ, reserve | MAP_FIXED_NOREPLACE, -1, 0);
				pages[i] = at == MAP_FAILED ? nullptr : at;
			}
			auto *from = reinterpret_cast<const std::byte *>(va);
			if (int status = finish(gpu.queue.touch({from, stop - va}, step, false)).status)
				return -status;
			for (void *at : pages)
				if (at)
					munmap(at, page);
		}
		svmirror::counters now = gpu.vm.counters();
		touched.send();
		if (!seen.wait())
			return ETIME;
		std::fprintf(stderr, "%llu bytes of host memory, %llu of the device's\n", static_cast<unsigned long long>(now.host_bytes),
			    static_cast<unsigned long long>(now.device_bytes));
		return now.tables_made < end / step - 1 ? ERANGE : now.host_bytes + now.device_bytes > 16 * mib ? EFBIG : 0;
	});
	ASSERT_TRUE(touched.wait(200s));
	EXPECT_LT(group.charged(), 64 * mib);
	std::fprintf(stderr, "%llu bytes charged\n", static_cast<unsigned long long>(group.charged()));
	seen.send();
	EXPECT_TRUE(toucher.succeeded());
	EXPECT_TRUE(nothing_held());
}
