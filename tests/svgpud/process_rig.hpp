// SPDX-License-Identifier: GPL-2.0-only
// svgpud as a process, with the files that it and its guest share.
#pragma once

#include "guest_rig.hpp"
#include "program_rig.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace svgpu::test {

inline constexpr std::size_t bar_bytes = 2 << 20;
inline constexpr std::size_t ram_bytes = 1 << 20;

class process : public testing::Test {
protected:
	process()
		: base(testing::TempDir() + "svgpud-" + std::to_string(::getpid()))
		, socket_path(base + ".sock")
		, ram_path(base + ".ram")
	{
	}
	~process() override
	{
		::unlink(ram_path.c_str());
		::unlink(socket_path.c_str());
	}

	std::vector<std::string> command_line()
	{
		return { "--socket",   socket_path, "--ram", ram_path, "--ram-size", std::to_string(ram_bytes),
			 "--vram-mib", "2" };
	}

	void create_ram()
	{
		descriptor file(::open(ram_path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));

		ASSERT_EQ(::ftruncate(file.get(), ram_bytes), 0);
	}

	descriptor connect()
	{
		descriptor s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		sockaddr_un address{};

		address.sun_family = AF_UNIX;
		std::strcpy(address.sun_path, socket_path.c_str());
		EXPECT_EQ(::connect(s.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
		return s;
	}

	std::string base;
	std::string socket_path;
	std::string ram_path;
};

} // namespace svgpu::test
