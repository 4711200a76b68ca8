// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault of the device is served in the name of its process: what it brings is charged, placed and limited as if a
 * thread of the process had touched it, and it ends with the process.
 */
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <linux/mempolicy.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.hpp"
#include "machine.hpp"
#include "manager.hpp"
#include "nodes.hpp"

using namespace harness;
using namespace machine;

namespace {

enum class toucher { cpu, device };

// What a group's memory.stat says of two kinds of memory, in bytes. Signed, for differences.
struct charge {
	std::int64_t file, kernel;
};

charge charged_to(const memory_group &group)
{
	std::string stat = group.path("memory.stat");
	return {static_cast<std::int64_t>(value_in(stat, "file").value_or(0)),
		static_cast<std::int64_t>(value_in(stat, "kernel").value_or(0))};
}

// A read of the first byte of each @stride, by the CPU or the device. 0 or an errno.
int touch(toucher who, svmirror::queue &queue, std::span<std::byte> memory, std::size_t stride)
{
	if (who == toucher::device)
		return -finish(queue.touch(memory, stride, false)).status;
	unsigned sum = 0;
	for (std::size_t at = 0; at < memory.size(); at += stride)
		sum += std::to_integer<unsigned>(*static_cast<volatile std::byte *>(&memory[at]));
	return sum ? EIO : 0; // all of it is zero
}

// What is charged to a group of its own when a process in it touches a mapping. The vm and its queue are made before.
charge charge_of(toucher who, std::size_t size, std::size_t stride, bool of_file)
{
	memory_group group(who == toucher::cpu ? "by-cpu" : "by-device");
	struct {
		charge before, after;
	} *seen = static_cast<decltype(seen)>(
		mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	child user([&] {
		file data(disk_folder(), of_file ? size : page, std::byte{0});
		// what this process has written is not what it is to be charged for
		if (fsync(data.fd()) || posix_fadvise(data.fd(), 0, 0, POSIX_FADV_DONTNEED))
			return 1;
		group.join();
		gpu gpu;
		std::optional<mapping> memory;
		if (of_file)
			memory.emplace(size, PROT_READ, MAP_SHARED, data.fd());
		else
			memory.emplace(size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
		memory->no_huge_pages();
		seen->before = charged_to(group);
		if (touch(who, gpu.queue, memory->bytes(), stride))
			return 2;
		seen->after = charged_to(group);
		return 0;
	});
	EXPECT_TRUE(user.succeeded(90s));
	charge made{seen->after.file - seen->before.file, seen->after.kernel - seen->before.kernel};
	munmap(seen, page);
	return made;
}

long set_policy(int mode, unsigned long nodes)
{
	return syscall(SYS_set_mempolicy, mode, mode == MPOL_DEFAULT ? nullptr : &nodes, 8 * sizeof nodes);
}

// First and last address of the main thread's stack as it is mapped now.
std::pair<std::uint64_t, std::uint64_t> stack_span()
{
	std::ifstream maps("/proc/self/maps");
	std::string line;
	std::uint64_t start = 0, end = 0;
	while (std::getline(maps, line))
		if (line.find("[stack]") != std::string::npos)
			std::sscanf(line.c_str(), "%lx-%lx", &start, &end);
	return {start, end};
}

} // namespace

SVM_TEST_WITHIN(Process, PageCacheIsChargedToItsGroup, 240)
{
	constexpr std::int64_t size = 8 * mib;
	charge cpu = charge_of(toucher::cpu, size, page, true);
	charge device = charge_of(toucher::device, size, page, true);
	ASSERT_GE(cpu.file, size * 95 / 100) << "the CPU's reading did not fill the page cache";
	EXPECT_GE(device.file, cpu.file * 95 / 100);
	EXPECT_LE(device.file, cpu.file * 105 / 100);
}

SVM_TEST_WITHIN(Process, KernelMemoryIsChargedToItsGroup, 240)
{
	// a page table of the CPU's for each page, and a table of ours
	constexpr std::int64_t tables = 512, kernel_page = page;
	charge cpu = charge_of(toucher::cpu, tables * table_span, table_span, false);
	charge device = charge_of(toucher::device, tables * table_span, table_span, false);
	ASSERT_GE(cpu.kernel, tables * kernel_page * 95 / 100) << "the CPU's page tables were not seen";
	// what the mirror keeps for itself: a node of 128 bytes for each table, at least
	EXPECT_GE(device.kernel, cpu.kernel * 95 / 100 + tables * 128 * 90 / 100);
}

SVM_TEST(Process, MemoryPolicyPlacesItsPages)
{
	gpu gpu;
	for (int node = 0; node < 2; node++) {
		mapping touched(4 * mib), prefetched(4 * mib);
		touched.no_huge_pages();
		prefetched.no_huge_pages();
		ASSERT_EQ(set_policy(MPOL_BIND, 1ul << node), 0);
		EXPECT_EQ(device_fill(gpu.queue, touched.bytes(), std::byte{1}), 0);
		gpu.vm.prefetch(prefetched.bytes(), true);
		EXPECT_EQ(set_policy(MPOL_DEFAULT, 0), 0);
		EXPECT_EQ(pages_on_node(touched.bytes(), node), touched.pages()) << "touched by the device, node " << node;
		EXPECT_EQ(pages_on_node(prefetched.bytes(), node), prefetched.pages()) << "prefetched, node " << node;
	}
}

SVM_TEST(Process, ItsStackGrowsUnderTheDevice)
{
	gpu gpu;
	std::uint64_t start = stack_span().first;
	ASSERT_NE(start, 0u);
	auto *below = reinterpret_cast<std::byte *>(start - 16 * page);
	EXPECT_DEVICE_READS(gpu.queue, below, 0);
	EXPECT_LE(stack_span().first, start - 16 * page);
	auto *further = reinterpret_cast<std::byte *>(start - 40 * page);
	EXPECT_EQ(device_write(gpu.queue, further, std::byte{0x5a}), 0);
	std::byte found = *static_cast<volatile std::byte *>(further);
	EXPECT_EQ(found, std::byte{0x5a});
}

SVM_TEST(Process, ItsStackGrowsNoFurtherThanItsLimit)
{
	gpu gpu;
	auto [start, end] = stack_span();
	ASSERT_NE(start, 0u);
	rlimit limit{};
	ASSERT_EQ(getrlimit(RLIMIT_STACK, &limit), 0);
	limit.rlim_cur = end - start + 64 * page;
	ASSERT_EQ(setrlimit(RLIMIT_STACK, &limit), 0);
	EXPECT_EQ(device_write(gpu.queue, reinterpret_cast<std::byte *>(start - 100 * page), std::byte{1}), EFAULT);
	EXPECT_EQ(stack_span().first, start);
	EXPECT_EQ(device_write(gpu.queue, reinterpret_cast<std::byte *>(start - 8 * page), std::byte{1}), 0);
}

// A fault waits for a manager that another process keeps silent. The dead process's memory is nobody's then, and the
// OOM killer could not find it.
SVM_TEST(Process, ItsMemoryGoesWithItWhileAFaultWaits)
{
	constexpr std::size_t size = 48 * mib;
	memory_group group("orphan");
	signal_pipe waiting, seen;
	child victim([&] {
		group.join();
		gpu gpu;
		mapping asked(page), memory(size);
		madvise(memory.data(), size, MADV_DONTFORK);
		manager manager(asked.bytes());
		if (device_fill(gpu.queue, memory.bytes(), std::byte{1}))
			return 1;
		svmirror::job waits = gpu.queue.touch(asked.bytes(), page, true);
		if (!manager.asked())
			return 2;
		// its descriptors of the device and of the userfaultfd outlive the victim
		if (!fork()) {
			memory_group::leave();
			waiting.send();
			seen.wait();
			_exit(0);
		}
		pause();
		return 3;
	});
	ASSERT_TRUE(waiting.wait());
	ASSERT_GE(group.charged(), size);
	victim.kill();
	ASSERT_TRUE(victim.wait(10s).has_value());
	EXPECT_TRUE(eventually([&] { return group.charged() < size / 4; }, 3s)) << group.charged() << " bytes are left";
	seen.send();
	EXPECT_TRUE(nothing_held());
}
