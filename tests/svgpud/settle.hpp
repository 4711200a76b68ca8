// SPDX-License-Identifier: GPL-2.0-only
// For tests that say that something does not happen. Such a test first waits until the device can do nothing more by itself,
// however slow the machine is: settle() returns when all other threads of this process sleep.
//
// A thread sleeps if two looks at it find it asleep, and it has not run between them. The first look at the last thread comes
// before the second look at the first one, so at one moment all slept. A thread that sleeps for a limited time (the gate's and
// the rings' waits, the heartbeat) may run between the looks: it has found nothing to do before, and finds nothing new while
// the others sleep.
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include <sys/syscall.h>
#include <unistd.h>

namespace svgpu::test {

class others {
public:
	static void settle(const std::function<bool()> &failed)
	{
		auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);

		for (others before, now;; before = std::move(now), now = others()) {
			if (failed() || (before.all_asleep_ && now.all_asleep_ && before.runs_ == now.runs_))
				return;
			if (std::chrono::steady_clock::now() > limit)
				throw std::runtime_error("the device does not come to rest");
			std::this_thread::sleep_for(std::chrono::microseconds(200));
		}
	}

private:
	others()
	{
		for (const auto &folder : std::filesystem::directory_iterator("/proc/self/task")) {
			std::string thread = folder.path().filename();

			if (thread != std::to_string(gettid()))
				look(thread);
		}
	}

	void look(const std::string &thread)
	{
		std::ifstream syscall("/proc/self/task/" + thread + "/syscall"), status("/proc/self/task/" + thread + "/status");
		std::string line;
		std::uint64_t runs = 0;

		// "running", or the number of the system call that it sleeps in, and its arguments
		if (!(syscall >> line)) {
			all_asleep_ = false; // it has just ended
			return;
		}
		if (line == "running")
			all_asleep_ = false;

		bool timed = line == std::to_string(SYS_clock_nanosleep);

		if (line == std::to_string(SYS_futex)) {
			std::string timeout;

			syscall >> line >> line >> line >> timeout;
			timed = timeout != "0x0";
		}
		while (std::getline(status, line)) {
			std::istringstream words(line);
			std::string what, value;

			words >> what >> value;
			if (what == "State:" && value != "S")
				all_asleep_ = false;
			if (what == "voluntary_ctxt_switches:" || what == "nonvoluntary_ctxt_switches:")
				runs += std::stoull(value);
		}
		runs_[thread] = timed ? 0 : runs;
	}

	bool all_asleep_ = true;
	std::map<std::string, std::uint64_t> runs_; // by thread
};

// `failed`: it has happened, where the device would not come to rest after that.
inline void settle(const std::function<bool()> &failed = [] { return false; })
{
	others::settle(failed);
}

} // namespace svgpu::test
