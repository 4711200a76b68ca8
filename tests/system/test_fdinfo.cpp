// SPDX-License-Identifier: GPL-2.0-only
/* What /proc/self/fdinfo says of a render node that is open: its vms and what they hold. */
#include <fstream>

#include "objects.hpp"

using namespace harness;

namespace {

// "key:\tvalue" lines of a file descriptor; a unit behind a number is left out.
std::map<std::string, std::string> fdinfo(int fd)
{
	std::map<std::string, std::string> found;
	std::ifstream in("/proc/self/fdinfo/" + std::to_string(fd));
	for (std::string line; std::getline(in, line);)
		if (std::size_t colon = line.find(":\t"); colon != std::string::npos)
			found[line.substr(0, colon)] = line.substr(colon + 2, line.find(" KiB") - colon - 2);
	return found;
}

std::uint64_t number(const svmirror::device &device, const char *key)
{
	std::map<std::string, std::string> all = fdinfo(device.fd());
	return all.count(key) ? std::stoull(all[key]) : ~0ull;
}

} // namespace

SVM_TEST(FileInfo, SumsUpTheVmsOfAFile)
{
	svmirror::device device;
	EXPECT_EQ(fdinfo(device.fd())["drm-driver"], "svgpu");
	EXPECT_EQ(number(device, "svgpu-vms"), 0u);
	EXPECT_EQ(number(device, "svgpu-mirrored"), 0u);
	EXPECT_EQ(number(device, "svgpu-tables"), 0u);
	mapping memory(4 * mib);
	std::uint64_t faults;
	{
		svmirror::vm one(device), two(device);
		one.bind(memory.bytes());
		two.bind(memory.bytes());
		svmirror::queue first(one), second(two);
		ASSERT_EQ(device_fill(first, memory.bytes(), std::byte{1}), 0);
		EXPECT_EQ(number(device, "svgpu-vms"), 2u);
		EXPECT_EQ(number(device, "svgpu-mirrored"), 4096u);
		ASSERT_EQ(device_fill(second, memory.bytes(0, memory.pages() / 2), std::byte{2}), 0);
		EXPECT_EQ(number(device, "svgpu-mirrored"), 6144u);
		EXPECT_GE(number(device, "svgpu-tables"), 2 * 3 * 4u) << "each has three levels above its leaves, if these are huge";
		EXPECT_GT(number(device, "svgpu-host"), 0u);
		faults = number(device, "svgpu-faults");
		EXPECT_EQ(faults, one.counters().faults + two.counters().faults);
		one.unbind(memory.bytes());
		EXPECT_EQ(number(device, "svgpu-mirrored"), 2048u);
	}
	EXPECT_EQ(number(device, "svgpu-vms"), 0u);
	EXPECT_EQ(number(device, "svgpu-mirrored"), 0u);
}

SVM_TEST(FileInfo, SaysWhereBuffersAre)
{
	svmirror::device device;
	svmirror::buffer slow(device, 16 * page, place::system), fast(device, 32 * page, place::vram), unused(device, 64 * page, place::vram);
	EXPECT_EQ(number(device, "drm-resident-system"), 0u) << "none has been used";
	EXPECT_EQ(number(device, "drm-resident-vram"), 0u);
	slow.map().bytes()[0] = fast.map().bytes()[0] = std::byte{1};
	bool reached = leaves_reach_vram(device);
	EXPECT_EQ(number(device, "drm-resident-system"), reached ? 64u : 192u);
	EXPECT_EQ(number(device, "drm-resident-vram"), reached ? 128u : 0u);
	ASSERT_EQ(fast.close(), 0);
	EXPECT_EQ(number(device, "drm-resident-vram"), 0u);
}

SVM_TEST(FileInfo, TellsFilesApart)
{
	svmirror::device one, two;
	std::map<std::string, std::string> first = fdinfo(one.fd()), second = fdinfo(two.fd());
	EXPECT_FALSE(first["drm-client-id"].empty());
	EXPECT_NE(first["drm-client-id"], second["drm-client-id"]);
	EXPECT_EQ(first["drm-pdev"], second["drm-pdev"]);
	EXPECT_FALSE(first["drm-pdev"].empty());
	svmirror::vm vm(one);
	EXPECT_EQ(number(one, "svgpu-vms"), 1u);
	EXPECT_EQ(number(two, "svgpu-vms"), 0u);
}
