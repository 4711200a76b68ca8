// SPDX-License-Identifier: GPL-2.0-only
// The event loop: signals by signalfd, the socket, the guest's connection.
#include "supervisor.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <system_error>

namespace svgpu {
namespace {

[[noreturn]] void fail(const std::string &what)
{
	throw std::system_error(errno, std::generic_category(), what);
}

sigset_t our_signals()
{
	sigset_t set;

	::sigemptyset(&set);
	for (int s : { SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGCHLD })
		::sigaddset(&set, s);
	return set;
}

descriptor watch_signals()
{
	sigset_t set = our_signals();

	if (::sigprocmask(SIG_BLOCK, &set, nullptr))
		fail("cannot block signals");

	descriptor fd(::signalfd(-1, &set, SFD_CLOEXEC));

	if (!fd)
		fail("cannot watch signals");
	return fd;
}

sockaddr_un address_of(const std::filesystem::path &path)
{
	sockaddr_un address{};

	address.sun_family = AF_UNIX;
	if (path.native().size() >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		fail("socket " + path.string());
	}
	std::strcpy(address.sun_path, path.c_str());
	return address;
}

descriptor new_socket()
{
	descriptor s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (!s)
		fail("cannot create a socket");
	return s;
}

// A socket file that nobody listens on is what a killed predecessor left.
void remove_dead_socket(const std::filesystem::path &path)
{
	sockaddr_un address = address_of(path);
	descriptor probe = new_socket();

	if (!std::filesystem::is_socket(path))
		return;
	if (!::connect(probe.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address))) {
		errno = EADDRINUSE;
		fail("socket " + path.string());
	}
	if (errno == ECONNREFUSED)
		::unlink(path.c_str());
}

descriptor listen_on(const std::filesystem::path &path)
{
	sockaddr_un address = address_of(path);

	remove_dead_socket(path);

	descriptor s = new_socket();

	if (::bind(s.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) || ::listen(s.get(), 1))
		fail("cannot listen on " + path.string());
	return s;
}

} // namespace

supervisor::supervisor(std::filesystem::path socket, worker_options options, const log &log)
	: path_(std::move(socket))
	, options_(std::move(options))
	, log_(log)
	, plug_(make_plug(options_.bar_bytes))
	, signals_(watch_signals())
	, listener_(listen_on(path_))
{
}

supervisor::~supervisor()
{
	kill_worker();
	::unlink(path_.c_str());
}

void supervisor::run()
{
	for (;;) {
		// poll() passes over negative descriptors: no guest yet.
		std::array<pollfd, 3> events = { { { signals_.get(), POLLIN, 0 },
						   { listener_.get(), POLLIN, 0 },
						   { guest_.get(), POLLIN, 0 } } };

		if (::poll(events.data(), events.size(), -1) < 0) {
			if (errno == EINTR)
				continue;
			fail("cannot wait for events");
		}
		if (events[0].revents && !handle_signal())
			return;
		if (events[2].revents && guest_left()) {
			log_("the guest has left");
			return;
		}
		if (events[1].revents)
			handle_connection();
	}
}

bool supervisor::handle_signal()
{
	signalfd_siginfo info;

	if (::read(signals_.get(), &info, sizeof(info)) != sizeof(info))
		return true;
	switch (info.ssi_signo) {
	case SIGUSR1:
		kill_worker();
		return true;
	case SIGUSR2:
		start_worker();
		return true;
	case SIGCHLD:
		reap_worker();
		return true;
	default:
		log_("ends on signal {}", info.ssi_signo);
		return false;
	}
}

void supervisor::handle_connection()
{
	descriptor client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));

	if (!client)
		return;
	if (guest_) {
		log_("refused a second guest");
		return;
	}
	try {
		welcome_guest(client.get(), plug_);
	} catch (const std::system_error &e) {
		// Also whoever only looked whether somebody listens.
		log_("{}", e.what());
		return;
	}
	guest_ = std::move(client);
	log_("the guest is connected");
	start_worker();
}

// The client has nothing to say in this protocol, so whatever it sends is thrown away.
bool supervisor::guest_left()
{
	std::array<char, 64> rest;
	ssize_t got = ::recv(guest_.get(), rest.data(), rest.size(), MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

void supervisor::start_worker()
{
	pid_t parent = ::getpid();

	if (worker_ || !guest_) {
		log_("the device is not started: {}", worker_ ? "it runs" : "no guest is connected");
		return;
	}
	worker_ = ::fork();
	if (worker_ < 0) {
		worker_ = 0;
		log_("cannot start the device: {}", std::strerror(errno));
		return;
	}
	if (worker_)
		return;

	sigset_t set = our_signals();

	// The parent may be gone before it could be told apart from the one that was asked for.
	::prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (::getppid() != parent)
		::_exit(1);
	::sigprocmask(SIG_UNBLOCK, &set, nullptr);
	// Only the supervisor's end of the socket may keep the connection up.
	guest_.close();
	listener_.close();
	try {
		run_worker(options_, plug_, log_);
	} catch (const std::exception &e) {
		log_("the device cannot run: {}", e.what());
		::_exit(1);
	}
}

void supervisor::kill_worker()
{
	if (!worker_)
		return;
	::kill(worker_, SIGKILL);
	while (::waitpid(worker_, nullptr, 0) < 0 && errno == EINTR)
		;
	log_("the device was killed");
	worker_ = 0;
}

void supervisor::reap_worker()
{
	int status;

	if (!worker_ || ::waitpid(worker_, &status, WNOHANG) != worker_)
		return;
	if (WIFSIGNALED(status))
		log_("the device died of signal {}", WTERMSIG(status));
	else
		log_("the device ended with status {}", WEXITSTATUS(status));
	worker_ = 0;
}

} // namespace svgpu
