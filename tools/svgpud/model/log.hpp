// SPDX-License-Identifier: GPL-2.0-only
// The device's log: one line a call, written at one stroke, so that lines of several threads and of the supervisor
// and its worker, which share the descriptor, never mix.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <unistd.h>
#include <utility>

namespace svgpu {

class log {
public:
	explicit log(int fd, std::string name = "svgpud")
		: fd_(fd)
		, name_(std::move(name))
	{
	}

	template <class... Args> void operator()(fmt::format_string<Args...> format, Args &&...args) const
	{
		line(fmt::format(format, std::forward<Args>(args)...));
	}

private:
	void line(const std::string &text) const
	{
		std::string whole = fmt::format("{}: {}\n", name_, text);

		// A log that cannot be written is no reason to stop the device.
		while (fd_ >= 0 && ::write(fd_, whole.data(), whole.size()) < 0 && errno == EINTR)
			;
	}

	int fd_;
	std::string name_;
};

} // namespace svgpu
