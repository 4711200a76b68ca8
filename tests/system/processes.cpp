// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes: tests in children, children of tests, commands. A child reports
 * failures through a pipe as they happen, so that what it said before a crash
 * or a hang is not lost.
 */
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.hpp"

namespace harness {

namespace {

using clock = std::chrono::steady_clock;

// Sends each failure as "type line file\0 message\0" to the parent.
class reporter : public ::testing::EmptyTestEventListener {
public:
	explicit reporter(int fd) : fd_(fd) {}
	void OnTestPartResult(const ::testing::TestPartResult &result) override
	{
		if (result.passed())
			return;
		std::ostringstream out;
		out << result.type() << ' ' << result.line_number() << ' '
		    << (result.file_name() ? result.file_name() : "?") << '\0' << result.message() << '\0';
		std::string text = out.str();
		for (std::size_t at = 0; at < text.size();) {
			ssize_t sent = write(fd_, text.data() + at, text.size() - at);
			if (sent <= 0)
				return;
			at += static_cast<std::size_t>(sent);
		}
	}

private:
	int fd_;
};

[[noreturn]] void run_child(const std::function<void()> &body, int report)
{
	// not to outlive a test run that was killed
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	auto &listeners = ::testing::UnitTest::GetInstance()->listeners();
	delete listeners.Release(listeners.default_result_printer());
	delete listeners.Release(listeners.default_xml_generator());
	listeners.Append(new reporter(report));
	try {
		body();
	} catch (const std::exception &error) {
		ADD_FAILURE() << "exception: " << error.what();
	}
	_exit(0);
}

// Everything that came through @fd until its end or @end; false at @end.
bool read_all(int fd, std::string &out, clock::time_point end)
{
	char buffer[4096];
	for (;;) {
		auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - clock::now()).count();
		pollfd poll_fd{fd, POLLIN, 0};
		int ready = poll(&poll_fd, 1, left > 0 ? static_cast<int>(left) : 0);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return false;
		ssize_t got = read(fd, buffer, sizeof(buffer));
		if (got <= 0)
			return true;
		out.append(buffer, static_cast<std::size_t>(got));
	}
}

// A child's failures become ours; its reason if it skipped.
std::optional<std::string> replay(const std::string &text)
{
	std::optional<std::string> skipped;
	for (std::size_t at = 0; at < text.size();) {
		std::size_t middle = text.find('\0', at);
		std::size_t end = middle == std::string::npos ? middle : text.find('\0', middle + 1);
		if (end == std::string::npos) {
			ADD_FAILURE() << "a report that was cut off: " << text.substr(at);
			break;
		}
		std::istringstream head(text.substr(at, middle - at));
		std::string message = text.substr(middle + 1, end - middle - 1);
		int type = 0, line = 0;
		std::string file;
		head >> type >> line >> std::ws;
		std::getline(head, file);
		if (type == ::testing::TestPartResult::kSkip) {
			skipped = message;
		} else {
			ADD_FAILURE_AT(file.c_str(), line) << message;
		}
		at = end + 1;
	}
	return skipped;
}

} // namespace

void isolated(const std::function<void()> &body, std::chrono::seconds limit)
{
	int ends[2];
	ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
	std::fflush(nullptr);
	auto end = clock::now() + limit;
	pid_t pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		close(ends[0]);
		run_child(body, ends[1]);
	}
	close(ends[1]);
	std::string said;
	bool ended = read_all(ends[0], said, end);
	close(ends[0]);
	// grandchildren may hold the pipe, so that its end says little: ask for the process itself
	std::optional<int> status;
	eventually(
		[&] {
			int raw;
			if (waitpid(pid, &raw, WNOHANG) == pid)
				status = raw;
			return status.has_value();
		},
		ended ? 5s : 100ms);
	std::optional<std::string> skipped = replay(said);
	if (!status) {
		std::string asleep = kernel_stacks();
		kill(pid, SIGKILL);
		bool died = eventually([&] { return waitpid(pid, nullptr, WNOHANG) == pid; }, 10s);
		FAIL() << "not done after " << limit.count() << " s" << (died ? "" : ", and it cannot be killed") << asleep;
	}
	if (WIFSIGNALED(*status))
		FAIL() << "killed by signal " << WTERMSIG(*status) << " (" << strsignal(WTERMSIG(*status)) << ")";
	EXPECT_EQ(WEXITSTATUS(*status), 0);
	if (skipped && !::testing::Test::HasFailure())
		GTEST_SKIP() << *skipped;
}

child::child(const std::function<int()> &body)
{
	std::fflush(nullptr);
	pid_ = fork();
	if (pid_ < 0)
		throw std::system_error(errno, std::generic_category(), "fork");
	if (pid_)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int rc = 125;
	try {
		rc = body();
	} catch (const std::exception &error) {
		std::fprintf(stderr, "child: %s\n", error.what());
	}
	std::fflush(nullptr);
	_exit(rc);
}

child::~child()
{
	if (!status_) {
		kill();
		wait(10s);
	}
}

void child::kill()
{
	if (!status_)
		::kill(pid_, SIGKILL);
}

std::optional<int> child::wait(std::chrono::milliseconds limit)
{
	eventually(
		[&] {
			int raw;
			if (!status_ && waitpid(pid_, &raw, WNOHANG) == pid_)
				status_ = raw;
			return status_.has_value();
		},
		limit);
	return status_;
}

bool child::succeeded(std::chrono::milliseconds limit)
{
	std::optional<int> status = wait(limit);
	if (!status)
		ADD_FAILURE() << "child " << pid_ << " has not ended";
	else if (WIFSIGNALED(*status))
		ADD_FAILURE() << "child was killed by signal " << WTERMSIG(*status);
	else if (WEXITSTATUS(*status))
		ADD_FAILURE() << "child exited with " << WEXITSTATUS(*status);
	else
		return true;
	return false;
}

signal_pipe::signal_pipe()
{
	if (pipe2(ends_, O_CLOEXEC))
		throw std::system_error(errno, std::generic_category(), "pipe");
}

signal_pipe::~signal_pipe()
{
	close(ends_[0]);
	close(ends_[1]);
}

void signal_pipe::send()
{
	char one = 1;
	if (write(ends_[1], &one, 1) != 1)
		throw std::system_error(errno, std::generic_category(), "write to a pipe");
}

bool signal_pipe::wait(std::chrono::milliseconds limit)
{
	pollfd poll_fd{ends_[0], POLLIN, 0};
	char one;
	return poll(&poll_fd, 1, static_cast<int>(limit.count())) == 1 && read(ends_[0], &one, 1) == 1;
}

int command(const std::vector<std::string> &arguments, std::chrono::seconds limit)
{
	child runner([&] {
		std::vector<char *> argv;
		for (const std::string &argument : arguments)
			argv.push_back(const_cast<char *>(argument.c_str()));
		argv.push_back(nullptr);
		execvp(argv[0], argv.data());
		return 127;
	});
	std::optional<int> status = runner.wait(limit);
	return status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
}

} // namespace harness
