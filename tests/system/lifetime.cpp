// SPDX-License-Identifier: GPL-2.0-only
#include "lifetime.hpp"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/syscall.h>
#include <unistd.h>

using namespace harness;

namespace lifetime {

namespace {

namespace fs = std::filesystem;

// Where the runner has put NAME.ko; empty if nowhere.
std::string find_module(const std::string &name)
{
	std::error_code error;
	for (const char *root : {"/lib/modules", "/modules", "/usr/lib/modules"})
		for (fs::recursive_directory_iterator at(root, error), end; !error && at != end; at.increment(error))
			if (at->path().filename() == name + ".ko")
				return at->path();
	return {};
}

// "a=1 b=2" as a module has them now.
std::string parameters_of(const std::string &name)
{
	std::string out;
	std::error_code error;
	for (const auto &entry : fs::directory_iterator("/sys/module/" + name + "/parameters", error)) {
		std::string value = read_line(entry.path());
		if (!value.empty())
			out += entry.path().filename().string() + "=" + value + " ";
	}
	return out;
}

} // namespace

void ask_host(std::vector<std::string> request)
{
	request.insert(request.begin(), {"/bin/hostctl", "gpu"});
	ASSERT_EQ(command(request, 30s), 0) << "/bin/hostctl gpu " << request[2];
}

modules::modules(std::initializer_list<const char *> names)
{
	for (const char *name : names)
		modules_.push_back({name, find_module(name), parameters_of(name)});
}

int modules::unload()
{
	for (auto at = modules_.rbegin(); at != modules_.rend(); ++at) {
		// a file that was just closed may still be on its way out
		int error = 0;
		eventually(
			[&] {
				error = syscall(SYS_delete_module, at->name.c_str(), O_NONBLOCK) ? errno : 0;
				return error != EAGAIN && error != EWOULDBLOCK && error != EBUSY;
			},
			20s);
		if (error)
			return -error;
	}
	return 0;
}

int modules::load()
{
	for (const module &one : modules_) {
		int fd = open(one.path.c_str(), O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		int error = syscall(SYS_finit_module, fd, one.parameters.c_str(), 0) ? errno : 0;
		close(fd);
		if (error && error != EEXIST)
			return -error;
	}
	return 0;
}

bool modules::loaded() const
{
	return fs::exists("/sys/module/" + modules_.back().name);
}

void kill_gpu()
{
	ask_host({"kill"});
}

void restart_gpu()
{
	ask_host({"restart"});
}

void set_flush_timeout(unsigned milliseconds)
{
	EXPECT_TRUE(write_file("/sys/module/svgpu/parameters/flush_timeout_ms", std::to_string(milliseconds)));
}

void expect_working()
{
	// the node appears a moment after the driver
	int fd = -1;
	ASSERT_TRUE(eventually([&] { return svmirror_open(nullptr, &fd) == 0; }, 20s)) << "no render node";
	svmirror_close(fd);
	gpu gpu;
	mapping memory(2 * mib);
	EXPECT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x6b}), 0);
	EXPECT_EQ(memory.at(511), std::byte{0x6b});
	EXPECT_EQ(gpu.device.gpu().wedged, 0u);
}

std::string bound_device()
{
	std::error_code error;
	for (const auto &entry : fs::directory_iterator(driver, error))
		if (entry.path().filename().string().find(':') != std::string::npos)
			return entry.path().filename();
	return {};
}

rebound::~rebound()
{
	if (bound_device().empty()) {
		EXPECT_TRUE(write_file(std::string(driver) + "bind", device_));
	}
	expect_working();
}

} // namespace lifetime
