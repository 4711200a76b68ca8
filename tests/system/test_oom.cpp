// SPDX-License-Identifier: GPL-2.0-only
/*
 * Row 16: out of memory while the device uses it. Another process is at the killed one's memory, in a read that
 * waits for a userfaultfd's manager; so that memory can only come from the OOM reaper, which must not block and gives
 * up on a notifier that would.
 */
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.hpp"
#include "manager.hpp"

using namespace harness;
using namespace machine;

namespace {

constexpr std::size_t limit = 24 * mib;
// The killer prints all that it knows and the reaper waits 2 s before it starts.
constexpr std::chrono::seconds patience{100};

// How the job behind a syncobj ended, without being its owner; 1: it has not.
int ended_with(const svmirror::syncobj &done, int fd)
{
	return done.wait(patience) ? svmirror_status(fd, done.id()) : 1;
}

// What a test and its processes tell each other.
struct told {
	signal_pipe stuck;    // by the victim: the device is at work, the holder's read waits
	signal_pipe checked;  // by the test: it has seen enough, the manager may go
	signal_pipe answered; // by the holder: the device's job got -EFAULT
};

// Keeps the device file and the userfaultfd open beyond the victim's end, and its memory by a read of @asked.
[[noreturn]] void hold(told &said, manager &manager, const mapping &asked, const svmirror::job &adding, int fd)
{
	memory_group::leave();
	std::thread reader([&, victim = getppid()] {
		std::byte got;
		iovec to{&got, 1}, from{asked.data(), 1};
		process_vm_readv(victim, &to, 1, &from, 1, 0);
	});
	int status = ended_with(adding.done(), fd);
	if (status == -EFAULT)
		said.answered.send();
	else
		std::fprintf(stderr, "the killed process's job ended with %d\n", status);
	said.checked.wait(2 * patience);
	manager.close();
	reader.join();
	_exit(0);
}

// Ends by the OOM killer.
int be_killed(told &said, const memory_group &group)
{
	group.join();
	gpu gpu;
	svmirror::queue greedy(gpu.vm);
	mapping asked(page), memory(limit / 2), more(2 * limit);
	// nobody but this process has it, or it would not be freed
	for (mapping *each : {&memory, &more})
		madvise(each->data(), each->size(), MADV_DONTFORK);
	manager manager(asked.bytes());
	if (device_fill(gpu.queue, memory.bytes(), std::byte{1}))
		return 1;
	svmirror::job adding = gpu.queue.cas_add(*reinterpret_cast<std::uint64_t *>(memory.data()), 1ull << 40);
	if (!fork())
		hold(said, manager, asked, adding, gpu.device.fd());
	if (!manager.asked())
		return 2;
	said.stuck.send();
	finish(greedy.touch(more.bytes(), page, true));
	return 3;
}

} // namespace

SVM_TEST_WITHIN(Row16Oom, ReaperTakesWhatTheDeviceUses, 300)
{
	// the holder becomes our child when the victim is gone
	ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	memory_group group("oom", limit);
	kernel_log log;
	told said;
	child victim([&] { return be_killed(said, group); });
	ASSERT_TRUE(said.stuck.wait());
	std::string reaped = log.line_with("oom_reaper: reaped process " + std::to_string(victim.pid()), patience);
	ASSERT_FALSE(reaped.empty()) << "the reaper made no progress";
	EXPECT_EQ(group.events("oom_kill"), 1u);
	// its address space is still there, and the memory is not
	EXPECT_TRUE(eventually([&] { return group.charged() < limit / 4; })) << group.charged() << " bytes charged";
	EXPECT_TRUE(said.answered.wait(patience)) << "the device goes on in memory that was reaped";
	said.checked.send();
	std::optional<int> status = victim.wait();
	ASSERT_TRUE(status.has_value()) << "the killed process does not end";
	EXPECT_TRUE(WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL) << "status " << *status;
	EXPECT_TRUE(eventually([] { return waitpid(-1, nullptr, WNOHANG) < 0; })) << "somebody is left";
	EXPECT_TRUE(nothing_held());
}
