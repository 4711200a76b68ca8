// SPDX-License-Identifier: GPL-2.0-only
#include "weather.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "harness.hpp"
#include "random.hpp"

namespace chaos {

namespace {

const std::string groups = "/tmp/chaos-cgroup";
const char *const swap_device = "/dev/zram0";

bool set(const std::string &path, const std::string &text)
{
	return harness::write_file(path, text);
}

// The @index-th word of a file, or of its line that begins with @line.
std::uint64_t number(const std::string &path, unsigned index, const std::string &line = "")
{
	std::ifstream in(path);
	std::string word;
	while (!line.empty() && in >> word && word != line)
		;
	for (unsigned i = 0; i < index; i++)
		in >> word;
	std::uint64_t value = 0;
	in >> value;
	return value;
}

} // namespace

std::string make_weather()
{
	if (!set("/sys/block/zram0/disksize", "384M") || harness::command({"mkswap", swap_device}) ||
	    swapon(swap_device, 0))
		return std::string("no swap on zram: ") + strerror(errno);
	mkdir(groups.c_str(), 0755);
	if (mount("none", groups.c_str(), "cgroup2", 0, nullptr))
		return std::string("no cgroups: ") + strerror(errno);
	if (!set(groups + "/cgroup.subtree_control", "+memory"))
		return "no memory controller";
	for (const char *name : {"/limited", "/free"})
		mkdir((groups + name).c_str(), 0755);
	if (!set(groups + "/limited/memory.max", "8M"))
		return "no memory limit";
	if (!set("/sys/kernel/mm/ksm/run", "1"))
		return "no KSM";
	set("/sys/kernel/mm/ksm/sleep_millisecs", "50");
	set("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "200");
	return {};
}

void clear_weather()
{
	set("/sys/kernel/mm/ksm/run", "2");
	for (const char *name : {"/limited", "/free"})
		rmdir((groups + name).c_str());
	umount(groups.c_str());
	swapoff(swap_device);
	set("/sys/block/zram0/reset", "1"); // or the next run could not set its size
}

void join_group(bool limited)
{
	set(groups + (limited ? "/limited" : "/free") + "/cgroup.procs", std::to_string(getpid()));
}

void weather(board &shared, std::uint64_t seed)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	random numbers(seed, 4711);
	while (!shared.stop.load(std::memory_order_relaxed)) {
		switch (numbers.below(8)) {
		case 0:
			set("/proc/sys/vm/compact_memory", "1");
			break;
		case 1:
			set("/proc/sys/vm/drop_caches", "1");
			break;
		case 2:
			set("/proc/sys/vm/drop_caches", "2"); // the shrinkers, ours among them
			break;
		case 3:
			set("/sys/kernel/mm/ksm/run", "2");
			set("/sys/kernel/mm/ksm/run", "1");
			break;
		default: // may get less than it asks for, and says so
			set(groups + "/free/memory.reclaim", std::to_string(1 + numbers.below(12)) + "M");
		}
		usleep(static_cast<unsigned>(20'000 + numbers.below(200'000)));
	}
	_exit(0);
}

weather_record weather_report()
{
	const std::string ksm = "/sys/kernel/mm/ksm/";
	return {number("/sys/block/zram0/stat", 4), number("/sys/block/zram0/stat", 0), number(ksm + "full_scans", 0),
		number(groups + "/limited/memory.events", 0, "max"), number(groups + "/limited/memory.events", 0, "oom_kill")};
}

} // namespace chaos
