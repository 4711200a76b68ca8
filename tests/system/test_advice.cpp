// SPDX-License-Identifier: GPL-2.0-only
/*
 * Advice: memory that is told to be in the device's goes there by the device's own faults, comes home when the CPU touches it,
 * does not go back and forth all the time, and never makes a fault fail.
 */
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>

#include <sys/ioctl.h>

#include "device_memory.hpp"
#include "files.hpp"
#include "objects.hpp"

using namespace harness;
using namespace std::chrono_literals;

namespace {

// The listed span that begins there; all zero if there is none.
drm_svm_span span_at(const svmirror::vm &vm, const void *start)
{
	for (const drm_svm_span &s : vm.spans())
		if (s.start == svmirror::address(start))
			return s;
	return {};
}

std::uint64_t moved_in(const gpu &gpu) { return gpu.vm.counters().moved_in; }

} // namespace

SVM_TEST(Advice, AFaultTakesPagesThere)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(many * page);
	memory.no_huge_pages();
	number(memory);
	gpu.vm.advise(memory.bytes(), place::vram);
	EXPECT_EQ(moved_in(gpu), 0u) << "nothing moves before the device asks";
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(7), 8);
	EXPECT_EQ(moved_in(gpu), 512u) << "what it has in the table that faulted";
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(515), 516 & 255);
	EXPECT_EQ(moved_in(gpu), many);
	drm_svm_span seen = span_at(gpu.vm, memory.data());
	EXPECT_EQ(seen.length, memory.size());
	EXPECT_EQ(seen.preferred, unsigned(DRM_SVM_PREFER_DEVICE));
	EXPECT_EQ(seen.pages, many);
	EXPECT_EQ(seen.device_pages, many);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(100, 100), std::byte{0x77}), 0);
	EXPECT_EQ(memory.at(300), std::byte(301 & 255)) << "the CPU's touch brings one page home";
	seen = span_at(gpu.vm, memory.data());
	EXPECT_EQ(seen.pages, many - 1);
	EXPECT_EQ(seen.device_pages, many - 1);
	for (std::size_t i = 0; i < many; i++)
		ASSERT_EQ(memory.at(i), i >= 100 && i < 200 ? std::byte{0x77} : std::byte(1 + i)) << "page " << i;
	EXPECT_EQ(send_home(gpu.vm, memory.bytes()), 0u) << "all were touched";
	EXPECT_TRUE(gpu.vm.fault_log().empty());
}

// CPU and device take one page from each other for a while: it moves once in a slice at most, and each sees what the other wrote.
// mprotect() makes the device fault where it would go on in system memory.
SVM_TEST(Advice, WhatBouncesIsLeftAlone)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(16 * page);
	memory.no_huge_pages();
	std::memset(memory.data(), 0, memory.size());
	gpu.vm.advise(memory.bytes(), place::vram);
	auto &word = reinterpret_cast<std::uint64_t &>(memory.at(3));
	auto begin = std::chrono::steady_clock::now();
	std::uint64_t turns = 0;
	std::chrono::milliseconds took{};
	while (took < 1s || turns < 20) {
		ASSERT_EQ(finish(gpu.queue.cas_add(word, 5)).status, 0);
		word += 2;
		ASSERT_EQ(mprotect(&memory.at(3), page, PROT_READ), 0);
		ASSERT_EQ(mprotect(&memory.at(3), page, PROT_READ | PROT_WRITE), 0);
		turns++;
		took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
	}
	EXPECT_EQ(word, 7 * turns);
	std::uint64_t moved = moved_in(gpu);
	EXPECT_GT(moved, 16u) << "after a slice it goes again";
	EXPECT_LE(moved, 16u + took.count() / 50 + 1);
}

SVM_TEST(Advice, OnlyWhatIsToldToMoveMoves)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(64 * page);
	memory.no_huge_pages();
	number(memory);
	gpu.vm.advise(memory.bytes(0, 16), place::vram, false);
	gpu.vm.advise(memory.bytes(16, 16), place::system);
	for (std::size_t i : {1, 17, 33})
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), 1 + i);
	EXPECT_EQ(moved_in(gpu), 0u);
	// A prefetch that names no direction takes there what is told to be there, and leaves the rest where it is.
	EXPECT_EQ(gpu.vm.prefetch(memory.bytes(), true), memory.pages());
	EXPECT_EQ(moved_in(gpu), 16u);
	EXPECT_EQ(span_at(gpu.vm, &memory.at(0)).device_pages, 16u);
	EXPECT_EQ(span_at(gpu.vm, &memory.at(16)).device_pages, 0u);
	EXPECT_EQ(span_at(gpu.vm, &memory.at(16)).pages, 16u);
	// One that does name it is obeyed, and what it took there stays there.
	EXPECT_EQ(send_there(gpu.vm, memory.bytes(16, 16)), 16u);
	EXPECT_EQ(gpu.vm.prefetch(memory.bytes(), true), memory.pages());
	EXPECT_EQ(span_at(gpu.vm, &memory.at(16)).device_pages, 16u);
	EXPECT_TRUE(numbered(memory));
	gpu.vm.forget_advice();
	EXPECT_EQ(gpu.vm.prefetch(memory.bytes(), true), memory.pages());
	for (std::size_t i = 0; i < memory.pages(); i++)
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), 1 + i);
	EXPECT_EQ(moved_in(gpu), 32u);
}

// A file, shared memory, huge pages of hugetlbfs and holes amid it: what cannot go is mapped where it is.
SVM_TEST(Advice, WhatCannotMoveIsReachedWhereItIs)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(128 * page);
	memory.no_huge_pages();
	number(memory);
	file file(16 * page, std::byte{0x16});
	ASSERT_EQ(mmap(&memory.at(16), 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.fd(), 0), &memory.at(16));
	ASSERT_EQ(mmap(&memory.at(32), 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0), &memory.at(32));
	std::memset(&memory.at(32), 0x32, 16 * page);
	ASSERT_EQ(munmap(&memory.at(64), 16 * page), 0);
	ASSERT_EQ(mprotect(&memory.at(96), 16 * page, PROT_READ), 0);
	gpu.vm.advise(memory.bytes(), place::vram);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(17), 0x16);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(33), 0x32);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(66)).error, EFAULT);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(97), std::byte{1}), EPERM);
	ASSERT_EQ(device_write(gpu.queue, &memory.at(18), std::byte{0x18}), 0);
	EXPECT_EQ(memory.at(18), std::byte{0x18});
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(2), 3);
	EXPECT_GE(moved_in(gpu), 32u);
	EXPECT_EQ(span_at(gpu.vm, memory.data()).length, memory.size());
}

// Memory that nobody has touched begins in the device's, as zero; a child that is forked sees its own.
SVM_TEST(Advice, UntouchedMemoryAndFork)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(64 * page);
	memory.no_huge_pages();
	gpu.vm.advise(memory.bytes(), place::vram);
	ASSERT_EQ(device_write(gpu.queue, &memory.at(9), std::byte{9}), 0);
	EXPECT_EQ(moved_in(gpu), memory.pages());
	EXPECT_TRUE(device_holds(gpu.queue, memory.bytes(10, 54), std::byte{0}));
	child process([&] { return memory.at(9) == std::byte{9} && memory.at(10) == std::byte{0} ? 0 : 1; });
	EXPECT_TRUE(process.succeeded());
	EXPECT_EQ(device_write(gpu.queue, &memory.at(10), std::byte{10}), 0);
	EXPECT_EQ(memory.at(9), std::byte{9});
	EXPECT_EQ(memory.at(10), std::byte{10});
}

// It is the device addresses that are told something: what the process maps there later is told the same, until it is taken back.
SVM_TEST(Advice, StaysWithTheAddresses)
{
	gpu gpu;
	mapping memory(64 * page);
	memory.no_huge_pages();
	number(memory);
	bool device_memory = can_migrate(gpu.device);
	place preferred = device_memory ? place::vram : place::system;
	gpu.vm.advise(memory.bytes(), preferred);
	ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
	EXPECT_EQ(span_at(gpu.vm, memory.data()).length, memory.size());
	ASSERT_EQ(mmap(memory.data(), memory.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), memory.data());
	memory.no_huge_pages();
	number(memory);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(1), 2);
	EXPECT_EQ(moved_in(gpu), device_memory ? memory.pages() : 0u);
	// A bind to something else ends it, and to mirror again does not bring it back.
	gpu.vm.unbind(memory.bytes(16, 16));
	EXPECT_EQ(span_at(gpu.vm, memory.data()).length, 16 * page);
	EXPECT_EQ(span_at(gpu.vm, &memory.at(32)).preferred, unsigned(device_memory ? DRM_SVM_PREFER_DEVICE : DRM_SVM_PREFER_SYSTEM));
	gpu.vm.bind_all();
	drm_svm_span between = span_at(gpu.vm, &memory.at(16));
	EXPECT_EQ(between.length, 16 * page);
	EXPECT_EQ(between.preferred, unsigned(DRM_SVM_PREFER_NONE));
	gpu.vm.forget_advice();
	EXPECT_EQ(gpu.vm.spans().size(), 1u);
	EXPECT_TRUE(numbered(memory));
}

// Jobs run while their memory is told to be here and there, moves by their faults, and is touched by the CPU. No addition is lost.
SVM_TEST(Advice, ChangesUnderRunningJobs)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(16 * page);
	memory.no_huge_pages();
	std::memset(memory.data(), 0, memory.size());
	{
		adder adds(gpu.vm, memory.bytes());
		for (unsigned round = 0; round < 60; round++) {
			if (round % 3 == 0)
				gpu.vm.advise(memory.bytes(0, 1 + round % 16), place::vram);
			else if (round % 3 == 1)
				(void)*static_cast<volatile std::byte *>(&memory.at(round % 16));
			else
				gpu.vm.advise(memory.bytes(round % 8, 8), round % 2 ? place::system : place::nowhere);
			adds.wait_for(1);
		}
		EXPECT_TRUE(adds.exact());
	}
	EXPECT_GT(moved_in(gpu), 0u);
}

// A process that dies while its faults move pages leaves nothing behind.
SVM_TEST(Advice, DeathAmidMoves)
{
	gpu outer;
	NEEDS_DEVICE_MEMORY(outer);
	for (unsigned round = 0; round < 3; round++) {
		signal_pipe begun;
		child process([&] {
			gpu gpu;
			mapping memory(2 * table_span);
			memory.no_huge_pages();
			gpu.vm.advise(memory.bytes(), place::vram);
			for (;;) {
				number(memory);
				device_fill(gpu.queue, memory.bytes(), std::byte{1});
				begun.send();
			}
			return 0;
		});
		ASSERT_TRUE(begun.wait());
		process.kill();
		ASSERT_TRUE(process.wait().has_value());
	}
	EXPECT_TRUE(eventually([] {
		std::optional<numbers> held = driver_file("svm_leaks");
		return held && (*held)["pages"] == 0;
	}));
}

namespace {

// @spoil makes a good array of two operations bad: it is @error, and nothing of it is done.
void expect_refused(int error, const std::function<void(drm_svm_advise &, drm_svm_advise_op (&)[2])> &spoil)
{
	gpu gpu;
	mapping memory(4 * page);
	drm_svm_advise_op ops[2]{};
	for (unsigned i = 0; i < 2; i++) {
		ops[i].start = svmirror::address(&memory.at(2 * i));
		ops[i].length = page;
		ops[i].preferred = DRM_SVM_PREFER_SYSTEM;
		ops[i].on_fault = i;
	}
	drm_svm_advise advise{}, bad;
	advise.vm_id = gpu.vm.id();
	advise.count = 2;
	advise.stride = sizeof(ops[0]);
	advise.ops = svmirror::address(&ops);
	bad = advise;
	drm_svm_advise_op good[2] = {ops[0], ops[1]};
	spoil(bad, ops);
	EXPECT_EQ(ioctl(gpu.device.fd(), DRM_IOCTL_SVM_ADVISE, &bad) < 0 ? -errno : 0, error);
	EXPECT_EQ(gpu.vm.spans().size(), 1u);
	advise.ops = svmirror::address(&good);
	EXPECT_EQ(ioctl(gpu.device.fd(), DRM_IOCTL_SVM_ADVISE, &advise), 0);
	EXPECT_EQ(gpu.vm.spans().size(), 5u);
}

} // namespace

SVM_TEST(Advice, BadOperations)
{
	for (std::uint64_t off : {1ull, 8ull, 4095ull}) {
		expect_refused(-EINVAL, [=](auto &, auto &ops) { ops[1].start += off; });
		expect_refused(-EINVAL, [=](auto &, auto &ops) { ops[1].length += off; });
	}
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].length = 0; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].length = 0 - ops[1].start + page; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].start = -page; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].start = 1ull << 57; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].preferred = DRM_SVM_PREFER_DEVICE + 1; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].preferred = ~0u; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].on_fault = DRM_SVM_ON_FAULT_STAY + 1; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].on_fault = ~0u; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].flags = 1; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].pad = 1; });
	// all addresses can be told nothing else than nothing
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].start = ops[1].length = 0; });
	// beyond what bind_all() has bound
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].start = (1ull << 47) - page, ops[1].length = 2 * page; });
}

SVM_TEST(Advice, BadArrays)
{
	expect_refused(-EINVAL, [](auto &advise, auto &) { advise.flags = 1; });
	expect_refused(-EINVAL, [](auto &advise, auto &) { advise.flags = 1u << 31; });
	expect_refused(-EINVAL, [](auto &advise, auto &) { advise.reserved = 1; });
	expect_refused(-EINVAL, [](auto &advise, auto &) { advise.stride = 0; });
	expect_refused(-EINVAL, [](auto &advise, auto &) { advise.stride = DRM_SVM_ADVISE_OP_SIZE_1 - 8; });
	expect_refused(-EINVAL, [](auto &advise, auto &) { advise.stride = DRM_SVM_ADVISE_OP_SIZE_1 + 4; });
	expect_refused(-EINVAL, [](auto &advise, auto &) { advise.stride = 8192; });
	expect_refused(-E2BIG, [](auto &advise, auto &) { advise.count = DRM_SVM_ADVISE_MAX + 1; });
	expect_refused(-EFAULT, [](auto &advise, auto &) { advise.ops = 0x1000; });
	expect_refused(-ENOENT, [](auto &advise, auto &) { advise.vm_id += 1000; });
	// a later version's operations: what this kernel does not know must be 0
	struct {
		drm_svm_advise_op op;
		std::uint64_t more;
	} long_ops[2]{};
	expect_refused(-E2BIG, [&](auto &advise, auto &ops) {
		long_ops[0].op = ops[0];
		long_ops[1].op = ops[1];
		long_ops[1].more = 1;
		advise.stride = sizeof(long_ops[0]);
		advise.ops = svmirror::address(&long_ops);
	});
}

SVM_TEST(Advice, OnWhatDoesNotMirror)
{
	gpu gpu;
	mapping memory(16 * page);
	int fd = gpu.device.fd();
	std::uint32_t vm = gpu.vm.id();
	std::uint64_t start = svmirror::address(memory.data());
	auto advise = [&](std::uint64_t at, std::uint64_t length, std::uint32_t preferred) {
		return svmirror_advise(fd, vm, at, length, preferred, DRM_SVM_ON_FAULT_MOVE);
	};
	EXPECT_EQ(advise(start, page, DRM_SVM_PREFER_DEVICE), can_migrate(gpu.device) ? 0 : -EOPNOTSUPP);
	gpu.vm.forget_advice();
	gpu.vm.unbind(start + 4 * page, page);
	EXPECT_EQ(advise(start, memory.size(), DRM_SVM_PREFER_SYSTEM), -EINVAL) << "a hole";
	EXPECT_EQ(advise(start + 4 * page, page, DRM_SVM_PREFER_SYSTEM), -EINVAL);
	svmirror::buffer object(gpu.device, page, place::system);
	gpu.vm.bind(start + 4 * page, object);
	EXPECT_EQ(advise(start, memory.size(), DRM_SVM_PREFER_SYSTEM), -EINVAL) << "an object";
	EXPECT_EQ(advise(start, memory.size(), DRM_SVM_PREFER_NONE), 0) << "nothing is told of whatever there is";
	EXPECT_EQ(advise(start, 4 * page, DRM_SVM_PREFER_SYSTEM), 0);
	svmirror_vm_options options{};
	options.flags = DRM_SVM_VM_NO_FAULT;
	std::uint32_t other = 0;
	if (!svmirror_vm_create(fd, &options, &other)) {
		EXPECT_EQ(svmirror_advise(fd, other, 0, 0, DRM_SVM_PREFER_NONE, DRM_SVM_ON_FAULT_MOVE), -EINVAL);
		EXPECT_EQ(svmirror_vm_destroy(fd, other), 0);
	}
}

SVM_TEST(Advice, StridesOfSpans)
{
	gpu gpu;
	mapping memory(4 * page);
	gpu.vm.advise(memory.bytes(), place::system);
	ASSERT_EQ(device_write(gpu.queue, &memory.at(0), std::byte{1}), 0);
	struct longer {
		drm_svm_span span;
		std::uint64_t later[2];
	} out[4];
	drm_svm_query query{};
	query.vm_id = gpu.vm.id();
	query.query = DRM_SVM_QUERY_SPANS;
	query.data = svmirror::address(out);
	for (std::uint32_t stride : {8u, 32u, 44u, 4104u, ~7u}) {
		query.stride = stride;
		EXPECT_EQ(ioctl(gpu.device.fd(), DRM_IOCTL_SVM_QUERY, &query) < 0 ? errno : 0, EINVAL) << stride;
	}
	query.stride = sizeof(longer);
	ASSERT_EQ(ioctl(gpu.device.fd(), DRM_IOCTL_SVM_QUERY, &query), 0);
	EXPECT_EQ(query.size, 3 * sizeof(longer));
	std::memset(out, 0xee, sizeof(out));
	query.size = 2 * sizeof(longer) + sizeof(drm_svm_span); // two and a piece
	ASSERT_EQ(ioctl(gpu.device.fd(), DRM_IOCTL_SVM_QUERY, &query), 0);
	EXPECT_EQ(query.size, 2 * sizeof(longer));
	EXPECT_EQ(out[0].span.preferred, unsigned(DRM_SVM_PREFER_NONE));
	EXPECT_EQ(out[1].span.start, svmirror::address(memory.data()));
	EXPECT_EQ(out[1].span.preferred, unsigned(DRM_SVM_PREFER_SYSTEM));
	EXPECT_GE(out[1].span.pages, 1u);
	EXPECT_EQ(out[1].later[0] | out[1].later[1], 0u) << "what the kernel does not know is 0";
	EXPECT_EQ(out[2].span.start, 0xeeeeeeeeeeeeeeeeull) << "written beyond the buffer";
	query.data = 0x10;
	EXPECT_EQ(ioctl(gpu.device.fd(), DRM_IOCTL_SVM_QUERY, &query) < 0 ? errno : 0, EFAULT);
}
