// SPDX-License-Identifier: GPL-2.0-only
/* fork, copy-on-write, and descriptors that another process has got. */
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "harness.hpp"

using namespace harness;

SVM_TEST(Row05Fork, DeviceWriteIsInvisibleToTheChild)
{
	gpu gpu;
	mapping memory(2 * mib);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x11}), 0);
	signal_pipe written;
	child observer([&] {
		if (!written.wait())
			return 1;
		for (std::size_t i = 0; i < memory.pages(); i++)
			if (memory.at(i) != std::byte{0x11})
				return 2;
		return 0;
	});
	// the device could write these pages a moment ago: fork must have taken that away
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x77}), 0);
	written.send();
	EXPECT_TRUE(observer.succeeded());
	EXPECT_EQ(memory.at(300), std::byte{0x77});
}

SVM_TEST(Row05Fork, ChildWriteIsInvisibleToTheDevice)
{
	gpu gpu;
	mapping memory(2 * mib);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x11}), 0);
	child writer([&] {
		std::memset(memory.data(), 0x99, memory.size());
		return 0;
	});
	ASSERT_TRUE(writer.succeeded());
	std::vector<std::byte> copy(memory.size());
	ASSERT_EQ(finish(gpu.queue.copy(copy, memory.bytes())).status, 0);
	for (std::size_t i = 0; i < copy.size(); i += page)
		ASSERT_EQ(copy[i], std::byte{0x11});
}

// fork calls back for each mapping, and each call would flush for itself
SVM_TEST(Row05Fork, ManyMappingsAreFlushedByTheTable)
{
	// 5120 mappings are too many for lockdep, which counts 4095 of the locks that a process's first notifier takes, and too slow
	const bool slow = !access("/proc/lockdep", F_OK) || !access("/sys/kernel/debug/kcsan", F_OK);
	const std::size_t tables = slow ? 2 : 20, apart = slow ? 8 : 2;
	mapping memory(tables * table_span, PROT_NONE);
	const std::size_t mappings = memory.pages() / apart;
	for (std::size_t i = 0; i < memory.pages(); i += apart)
		ASSERT_NE(mmap(&memory.at(i), page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), MAP_FAILED);
	auto forking = [] {
		auto begin = std::chrono::steady_clock::now();
		child empty([] { return 0; });
		std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
		EXPECT_TRUE(empty.succeeded());
		return took.count() * 1e3;
	};
	for (std::size_t i = 0; i < memory.pages(); i += apart)
		memory.at(i) = std::byte{1};
	double plain = forking();
	window gpu(memory);
	ASSERT_EQ(gpu.vm.prefetch(memory.bytes(), true), mappings);
	svmirror::counters before = gpu.vm.counters();
	double mirrored = forking();
	svmirror::counters done = gpu.vm.counters() - before;
	std::fprintf(stderr, "fork of %zu mappings: %.1f ms, mirrored %.1f ms, %llu callbacks, %llu flushes\n", mappings, plain, mirrored,
		    static_cast<unsigned long long>(done.invalidations), static_cast<unsigned long long>(done.flushes));
	EXPECT_GE(done.invalidations, mappings);
	EXPECT_LE(done.flushes, tables);
	EXPECT_EQ(done.ptes_zapped, mappings);
}

SVM_TEST(Row05Fork, ManyForksUnderWrites)
{
	gpu gpu;
	mapping counters(page), other(mib);
	auto &word = *reinterpret_cast<std::uint64_t *>(counters.data());
	hammer busy(gpu.vm, other.bytes(), true);
	std::uint64_t total = 0;
	for (unsigned round = 0; round < 5; round++) {
		svmirror::job job = gpu.queue.cas_add(word, 20000);
		total += 20000;
		child reader([&] {
			// our copy stands still whatever the device does to the parent's
			auto value = [&] { return std::atomic_ref(word).load(); };
			std::uint64_t first = value();
			std::this_thread::sleep_for(20ms);
			return value() == first ? 0 : 1;
		});
		EXPECT_TRUE(reader.succeeded());
		ASSERT_EQ(finish(job).status, 0);
		EXPECT_EQ(word, total) << "an addition was lost to copy-on-write";
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

namespace {

// What each use of another process's vm and queue gives; 0 if all are -EPERM, else the number of the first that is not.
int foreign_uses(int fd, std::uint32_t vm, std::uint32_t queue)
{
	svmirror::counters counters;
	svmirror::fault_record record;
	drm_svm_span span;
	std::size_t count;
	std::uint64_t pages;
	std::uint32_t id;
	svmirror_job job{};
	job.queue = queue;
	job.kernel = SVMIRROR_NOP;
	int number = 0;
	for (int rc : {svmirror_bind(fd, vm, 0, 0, 0), svmirror_unbind(fd, vm, 0, 0),
		       svmirror_prefetch(fd, vm, 0x10000, page, 0, &pages), svmirror_advise(fd, vm, 0, 0, 0, 0),
		       svmirror_spans(fd, vm, &span, 1, &count), svmirror_counters(fd, vm, &counters),
		       svmirror_fault_log(fd, vm, &record, 1, &count), svmirror_queue_create(fd, vm, &id),
		       svmirror_submit(fd, &job), svmirror_queue_destroy(fd, queue), svmirror_vm_destroy(fd, vm)}) {
		number++;
		if (rc != -EPERM) {
			std::fprintf(stderr, "use %d of a foreign vm: %d, not -EPERM\n", number, rc);
			return number;
		}
	}
	return 0;
}

} // namespace

SVM_TEST(Row05Fork, InheritedDescriptorIsRefusedInTheChild)
{
	gpu gpu;
	child user([&] { return foreign_uses(gpu.device.fd(), gpu.vm.id(), gpu.queue.id()); });
	EXPECT_TRUE(user.succeeded());
	// and the parent's go on
	mapping memory(page);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(0), std::byte{1}), 0);
}

// The second half of the test below: this program again, with the vm of its former self.
int after_exec(char **argv)
{
	return foreign_uses(std::atoi(argv[0]), static_cast<std::uint32_t>(std::atoi(argv[1])),
			    static_cast<std::uint32_t>(std::atoi(argv[2])));
}

SVM_TEST(Row05Fork, DescriptorKeptAcrossExecIsRefused)
{
	child execs([&] {
		gpu gpu;
		mapping memory(2 * mib);
		if (device_fill(gpu.queue, memory.bytes(), std::byte{1}))
			return 100;
		fcntl(gpu.device.fd(), F_SETFD, 0);
		std::string fd = std::to_string(gpu.device.fd()), vm = std::to_string(gpu.vm.id()),
			    queue = std::to_string(gpu.queue.id());
		execl("/proc/self/exe", "svm_system_tests", "--after-exec", fd.c_str(), vm.c_str(), queue.c_str(),
		      nullptr);
		return 101;
	});
	EXPECT_TRUE(execs.succeeded());
	EXPECT_TRUE(nothing_held());
}
