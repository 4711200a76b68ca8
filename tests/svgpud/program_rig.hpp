// SPDX-License-Identifier: GPL-2.0-only
// svgpud as a child process, with what it says in a pipe.
#pragma once

#include "descriptor.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <vector>

extern char **environ;

namespace svgpu::test {

using namespace std::chrono_literals;

class program {
public:
	explicit program(std::vector<std::string> args)
	{
		posix_spawn_file_actions_t actions;
		std::vector<char *> argv;
		int ends[2];

		args.insert(args.begin(), SVGPUD_PROGRAM);
		for (std::string &a : args)
			argv.push_back(a.data());
		argv.push_back(nullptr);
		EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
		output_ = descriptor(ends[0]);

		descriptor writer(ends[1]);

		::posix_spawn_file_actions_init(&actions);
		::posix_spawn_file_actions_adddup2(&actions, writer.get(), 1);
		::posix_spawn_file_actions_adddup2(&actions, writer.get(), 2);
		EXPECT_EQ(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
		::posix_spawn_file_actions_destroy(&actions);
	}
	~program()
	{
		if (pid_) {
			::kill(pid_, SIGKILL);
			::waitpid(pid_, nullptr, 0);
		}
	}

	void signal(int number) { ::kill(pid_, number); }

	// Up to this text, or to the end of all output.
	std::string read_until(const std::string &text)
	{
		std::string all;
		char c;

		while (all.find(text) == all.npos && ::read(output_.get(), &c, 1) == 1)
			all += c;
		return all;
	}

	std::string read_all()
	{
		std::string all;
		char c;

		while (::read(output_.get(), &c, 1) == 1)
			all += c;
		return all;
	}

	// Exit status, or -signal.
	int wait()
	{
		auto limit = std::chrono::steady_clock::now() + 20s;
		int status;

		while (::waitpid(pid_, &status, WNOHANG) == 0) {
			if (std::chrono::steady_clock::now() > limit)
				throw std::runtime_error("the program does not end");
			std::this_thread::sleep_for(1ms);
		}
		pid_ = 0;
		return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	}

private:
	pid_t pid_ = 0;
	descriptor output_;
};

} // namespace svgpu::test
