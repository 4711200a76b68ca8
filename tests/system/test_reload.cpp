// SPDX-License-Identifier: GPL-2.0-only
/* The modules go and come back, and leave nothing behind. */
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lifetime.hpp"

using namespace harness;
using namespace lifetime;

SVM_TEST(Row24Reload, UnloadAndLoad)
{
	modules modules;
	child user([] {
		expect_working();
		return testing::Test::HasFailure();
	});
	ASSERT_TRUE(user.succeeded());
	for (unsigned round = 0; round < 3; round++) {
		ASSERT_TRUE(nothing_held());
		ASSERT_EQ(modules.unload(), 0);
		EXPECT_FALSE(modules.loaded());
		int fd;
		EXPECT_EQ(svmirror_open(nullptr, &fd), -ENODEV);
		ASSERT_EQ(modules.load(), 0);
		child again([] {
			expect_working();
			return testing::Test::HasFailure();
		});
		ASSERT_TRUE(again.succeeded());
	}
}

SVM_TEST(Row24Reload, RefusedWhileInUse)
{
	modules modules;
	gpu gpu;
	mapping memory(mib);
	hammer busy(gpu.vm, memory.bytes(), true);
	EXPECT_NE(syscall(SYS_delete_module, "svgpu", O_NONBLOCK), 0);
	EXPECT_TRUE(modules.loaded());
	busy.wait_for(2);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row24Reload, RightAfterAProcessWasKilled)
{
	modules modules;
	for (unsigned round = 0; round < 2; round++) {
		signal_pipe running;
		child worker([&]() -> int {
			gpu gpu;
			mapping memory(4 * mib);
			memory.no_huge_pages();
			for (unsigned pass = 0;; pass++) {
				svmirror::job job = gpu.queue.touch(memory.bytes(), page, true);
				if (pass == 1)
					running.send();
				job.result(job_limit);
				madvise(memory.data(), memory.size(), MADV_DONTNEED);
			}
		});
		ASSERT_TRUE(running.wait());
		worker.kill();
		ASSERT_TRUE(worker.wait(20s).has_value()) << "a killed process does not end";
		ASSERT_EQ(modules.unload(), 0);
		ASSERT_EQ(modules.load(), 0);
	}
	expect_working();
}
