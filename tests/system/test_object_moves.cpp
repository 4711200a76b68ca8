// SPDX-License-Identifier: GPL-2.0-only
/* Buffers that want more VRAM than there is: they move, and nobody sees anything of it but their places. */
#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>
#include <vector>

#include "device_memory.hpp"
#include "objects.hpp"

using namespace harness;

namespace {

// The driver leaves a buffer in VRAM for so long at least, before it sends it away for another one.
constexpr auto slice = 60ms;

// Of VRAM, of which the device of these tests has little, so that it is full soon; in groups of pages that a format hints.
std::size_t vram_part(const svmirror::device &device, std::size_t parts)
{
	return device.gpu().vram_bytes / parts / (16 * page) * (16 * page);
}

std::uint64_t moves(const std::vector<std::unique_ptr<shared_object>> &all)
{
	std::uint64_t sum = 0;
	for (const auto &each : all)
		sum += each->buffer.info().moves;
	return sum;
}

std::size_t in_vram(const std::vector<std::unique_ptr<shared_object>> &all)
{
	std::size_t count = 0;
	for (const auto &each : all)
		count += each->buffer.where() == place::vram;
	return count;
}

} // namespace

SVM_TEST(Row26Eviction, MoreThanVramHolds)
{
	gpu gpu;
	std::size_t size = vram_part(gpu.device, 3);
	shared_object small(gpu, 64 * page, place::vram);
	adder busy(gpu.vm, small.bytes());
	std::vector<std::unique_ptr<shared_object>> all;
	for (unsigned i = 0; i < 6; i++) {
		all.push_back(std::make_unique<shared_object>(gpu, size, place::vram));
		ASSERT_EQ(device_fill(gpu.queue, all[i]->bytes(), std::byte(i + 1)), 0) << i;
		std::this_thread::sleep_for(slice);
	}
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < all.size(); i++) {
			EXPECT_TRUE(device_holds(gpu.queue, all[i]->bytes(), std::byte(16 * round + i + 1))) << i;
			EXPECT_TRUE(holds(all[i]->bytes(), std::byte(16 * round + i + 1))) << i;
			ASSERT_EQ(device_fill(gpu.queue, all[i]->bytes(), std::byte(16 * (round + 1) + i + 1)), 0) << i;
		}
	busy.wait_for(8);
	EXPECT_TRUE(busy.exact());
	if (!leaves_reach_vram(gpu.device)) {
		EXPECT_EQ(moves(all), 0u);
		return;
	}
	EXPECT_GE(moves(all), 3u) << "each of six was in VRAM, where three have room at most";
	EXPECT_GE(in_vram(all), 1u);
	EXPECT_LE(in_vram(all), 3u) << "more than there is";
}

// The one that moves is being used by jobs and by the CPU, each of which adds to words of its own.
SVM_TEST(Row26Eviction, UnderJobsAndTheCpu)
{
	gpu gpu;
	std::size_t size = vram_part(gpu.device, 3);
	shared_object used(gpu, size, place::vram);
	adder jobs(gpu.vm, used.memory.bytes(0, 32));
	hammer touches(gpu.vm, used.memory.bytes(64, 128), true); // nobody else writes there
	std::atomic<bool> stop{false};
	std::vector<std::uint64_t> added(32);
	std::thread cpu([&] {
		for (std::size_t at = 0; !stop; at = (at + 1) % added.size()) {
			// in another cache line than the device's
			std::atomic_ref(*reinterpret_cast<std::uint64_t *>(&used.at(32 + at) + 128)).fetch_add(1);
			added[at]++;
		}
	});
	std::uint64_t last = used.buffer.info().moves;
	unsigned moved = 0;
	for (unsigned round = 0; round < 3; round++) {
		std::vector<std::unique_ptr<shared_object>> others;
		for (unsigned i = 0; i < 3; i++) {
			others.push_back(std::make_unique<shared_object>(gpu, size, place::vram));
			ASSERT_EQ(device_fill(gpu.queue, others[i]->bytes(), std::byte(round + i + 1)), 0);
			std::this_thread::sleep_for(slice);
		}
		jobs.wait_for(4);
		touches.wait_for(1);
		for (unsigned i = 0; i < 3; i++)
			EXPECT_TRUE(holds(others[i]->bytes(), std::byte(round + i + 1)));
		moved += used.buffer.info().moves != last;
		last = used.buffer.info().moves;
	}
	stop = true;
	cpu.join();
	hammer::report report = touches.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other << ", " << report.fault << " faults";
	EXPECT_TRUE(jobs.exact());
	for (std::size_t i = 0; i < added.size(); i++)
		EXPECT_EQ(*reinterpret_cast<std::uint64_t *>(&used.at(32 + i) + 128), added[i]) << "page " << i;
	EXPECT_TRUE(holds(used.memory.bytes(64, 64), std::byte{0}));
	EXPECT_EQ(moved > 0, leaves_reach_vram(gpu.device)) << "it never moved, so that this shows nothing";
}

// VRAM is zeroed before it changes hands.
SVM_TEST(Row26Eviction, NobodysOldDataShows)
{
	gpu gpu;
	std::size_t size = vram_part(gpu.device, 8);
	for (unsigned round = 0; round < 3; round++) {
		std::vector<std::unique_ptr<shared_object>> all;
		for (unsigned i = 0; i < 7; i++) {
			all.push_back(std::make_unique<shared_object>(gpu, size, place::vram));
			// by turns the device and the CPU are the first to look
			EXPECT_TRUE(i % 2 ? device_holds(gpu.queue, all[i]->bytes(), std::byte{0}) : holds(all[i]->bytes(), std::byte{0}))
				<< "round " << round << ", buffer " << i;
			ASSERT_EQ(device_fill(gpu.queue, all[i]->bytes(), std::byte{0xaa}), 0);
		}
		EXPECT_GE(in_vram(all), leaves_reach_vram(gpu.device) ? 6u : 0u) << "not much of VRAM is used a second time";
	}
}

namespace {

// Buffers of an eighth of VRAM, @count of them, lie in VRAM at the same time, and none of them had to move.
::testing::AssertionResult fit_into_vram(gpu &gpu, unsigned count)
{
	std::vector<std::unique_ptr<shared_object>> all;
	for (unsigned i = 0; i < count; i++) {
		all.push_back(std::make_unique<shared_object>(gpu, vram_part(gpu.device, 8), place::vram));
		if (int error = device_fill(gpu.queue, all[i]->bytes(), std::byte(i + 1)))
			return ::testing::AssertionFailure() << "the device gets " << error << " in buffer " << i;
	}
	for (unsigned i = 0; i < count; i++)
		if (::testing::AssertionResult held = holds(all[i]->bytes(), std::byte(i + 1)); !held)
			return held;
	if (leaves_reach_vram(gpu.device) && (in_vram(all) != count || moves(all)))
		return ::testing::AssertionFailure() << in_vram(all) << " of " << count << " are in VRAM, after " << moves(all) << " moves";
	return ::testing::AssertionSuccess();
}

} // namespace

SVM_TEST(Row26Eviction, VramOfAKilledProcessIsFree)
{
	for (unsigned round = 0; round < 3; round++) {
		signal_pipe full;
		child process([&] {
			gpu own;
			std::vector<std::unique_ptr<shared_object>> all;
			for (unsigned i = 0; i < 8; i++) {
				all.push_back(std::make_unique<shared_object>(own, vram_part(own.device, 6), place::vram));
				if (device_fill(own.queue, all[i]->bytes(), std::byte{0x77}))
					return 1;
			}
			hammer busy(own.vm, all[7]->bytes(), true);
			full.send();
			std::this_thread::sleep_for(job_limit);
			return 0;
		});
		ASSERT_TRUE(full.wait());
		process.kill();
		ASSERT_TRUE(process.wait());
		gpu gpu;
		// what it had may go a moment after it
		::testing::AssertionResult fits = ::testing::AssertionFailure();
		eventually([&] { return bool(fits = fit_into_vram(gpu, 6)); });
		EXPECT_TRUE(fits) << "round " << round;
	}
}

SVM_TEST(Row26Eviction, VramIsFreeAfterTheLastBinding)
{
	gpu gpu;
	for (unsigned round = 0; round < 4; round++)
		EXPECT_TRUE(fit_into_vram(gpu, 6)) << "round " << round;
}

// Two files and threads that want all of VRAM, at the same time.
SVM_TEST(Row26Eviction, TwoFilesWantAllOfIt)
{
	auto work = [](unsigned seed) {
		gpu own;
		std::vector<std::unique_ptr<shared_object>> all;
		for (unsigned i = 0; i < 4; i++)
			all.push_back(std::make_unique<shared_object>(own, vram_part(own.device, 5), place::vram));
		for (unsigned round = 0; round < 3; round++) {
			for (unsigned i = 0; i < all.size(); i++)
				EXPECT_EQ(device_fill(own.queue, all[i]->bytes(), std::byte(seed + 8 * round + i)), 0);
			for (unsigned i = 0; i < all.size(); i++) {
				EXPECT_TRUE(holds(all[i]->bytes(), std::byte(seed + 8 * round + i)));
				EXPECT_TRUE(device_holds(own.queue, all[i]->bytes(), std::byte(seed + 8 * round + i)));
			}
		}
	};
	std::thread first(work, 1), second(work, 101);
	first.join();
	second.join();
}

// Row 25: more than VRAM holds. What does not fit goes home, or stays there, and no byte is wrong.
SVM_TEST(Row25Pages, MoreThanThereIs)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(gpu.device.gpu().vram_bytes * 2);
	memory.no_huge_pages();
	number(memory);
	std::uint64_t moved = 0;
	for (std::size_t first = 0; first < memory.pages(); first += 2048) {
		std::size_t n = std::min<std::size_t>(2048, memory.pages() - first);
		moved += send_there(gpu.vm, memory.bytes(first, n));
		ASSERT_EQ(device_write(gpu.queue, &memory.at(first) + 8, std::byte{0x5a}), 0);
	}
	EXPECT_GT(moved, memory.pages() / 8);
	EXPECT_TRUE(numbered(memory));
	for (std::size_t first = 0; first < memory.pages(); first += 2048)
		ASSERT_EQ((&memory.at(first))[8], std::byte{0x5a}) << "page " << first;
}

// To ask for what is there already takes no room from others.
SVM_TEST(Row25Pages, AskingAgainSendsNobodyHome)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping first(vram_part(gpu.device, 8) * 3), second(vram_part(gpu.device, 8) * 3);
	for (const mapping *each : {&first, &second}) {
		each->no_huge_pages();
		number(*each);
		ASSERT_EQ(send_there(gpu.vm, each->bytes()), each->pages());
	}
	for (unsigned round = 0; round < 4; round++) {
		std::this_thread::sleep_for(slice);
		EXPECT_EQ(send_there(gpu.vm, second.bytes()), 0u);
	}
	EXPECT_EQ(send_home(gpu.vm, first.bytes()), first.pages());
	EXPECT_TRUE(numbered(first));
	EXPECT_TRUE(numbered(second));
}
