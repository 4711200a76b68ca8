// SPDX-License-Identifier: GPL-2.0-only
/* Row 21: a page that has gone bad. */
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.hpp"

using namespace harness;
using namespace machine;

SVM_TEST(Row21Hwpoison, OnlyThatPageFaults)
{
	gpu gpu;
	mapping memory(64 * page);
	memory.no_huge_pages();
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
	hammer before(gpu.vm, memory.bytes(0, 20), true), after(gpu.vm, memory.bytes(21, 43), true);
	hammer across(gpu.vm, memory.bytes(), false);
	across.wait_for(1);
	// 6.12 and later tell whoever asks for this at once, as if it had looked, and that cannot be ignored
	signal(SIGBUS, [](int) {});
	// the frame stays bad until the machine is started again: one is enough
	ASSERT_EQ(madvise(&memory.at(20), page, MADV_HWPOISON), 0) << strerrorname_np(errno);
	svmirror::job_result result = finish(gpu.queue.touch(memory.bytes(), page, false));
	EXPECT_EQ(result.status, -EFAULT);
	EXPECT_EQ(result.va, svmirror::address(&memory.at(20)));
	EXPECT_EQ(device_write(gpu.queue, &memory.at(20), std::byte{1}), EFAULT);
	for (std::size_t i : {0, 16, 19, 21, 31, 32, 63})
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), 0x5a);
	// the CPU gets no data from it either
	child reader([&] {
		// the signal is what is wanted: no handler of the test's is to turn it into something else
		signal(SIGBUS, SIG_DFL);
		return std::atomic_ref(memory.at(20)).load() == std::byte{0x5a};
	});
	std::optional<int> status = reader.wait();
	ASSERT_TRUE(status.has_value());
	EXPECT_TRUE(WIFSIGNALED(*status) && WTERMSIG(*status) == SIGBUS) << "status " << *status;
	// another page in its place is as good as any
	ASSERT_NE(mmap(&memory.at(20), page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		  MAP_FAILED);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(20), 0);
	across.wait_for(2);
	hammer::report all = across.stop(), left = before.stop(), right = after.stop();
	EXPECT_EQ(all.ok + all.fault, all.jobs) << "first other status " << all.first_other;
	EXPECT_EQ(left.ok, left.jobs) << "first other status " << left.first_other;
	EXPECT_EQ(right.ok, right.jobs) << "first other status " << right.first_other;
}
