// SPDX-License-Identifier: GPL-2.0-only
// The event loop: signals by signalfd, the socket, the guest's connection.
#include "supervisor.hpp"

#include "model/ring.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <fstream>
#include <poll.h>
#include <sys/eventfd.h>
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

// Empty where there is no file, or no path.
std::string first_line(const std::filesystem::path &file)
{
	std::ifstream in(file);
	std::string text;

	std::getline(in, text);
	return text;
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
	, registers_(plug_.bar, SVGPU_VRAM_OFFSET)
	, signals_(watch_signals())
	, listener_(listen_on(path_))
{
	shared_word<std::uint64_t>(registers_.bytes().data() + SVGPU_REG_BUS_MAGIC).store(SVGPU_BUS_MAGIC);
}

supervisor::~supervisor()
{
	kill_worker();
	::unlink(path_.c_str());
}

bool supervisor::run()
{
	for (;;) {
		// poll() passes over negative descriptors: no guest yet.
		std::array<pollfd, 4> events = { { { signals_.get(), POLLIN, 0 },
						   { listener_.get(), POLLIN, 0 },
						   { guest_.get(), POLLIN, 0 },
						   { plug_.bells[SVGPU_BELL_BUS].get(), POLLIN, 0 } } };

		if (::poll(events.data(), events.size(), -1) < 0) {
			if (errno == EINTR)
				continue;
			fail("cannot wait for events");
		}
		if (events[0].revents && !handle_signal())
			return !broken_;
		if (events[2].revents && guest_left()) {
			log_("the guest has left");
			reap_worker();
			return !broken_;
		}
		if (events[3].revents)
			handle_bus();
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
		wanted_ = false;
		kill_worker();
		return true;
	case SIGUSR2:
		wanted_ = true;
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
	wanted_ = true;
	start_worker();
}

// The client has nothing to say in this protocol, so whatever it sends is thrown away.
bool supervisor::guest_left()
{
	std::array<char, 64> rest;
	ssize_t got = ::recv(guest_.get(), rest.data(), rest.size(), MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

// Whatever was asked for in between, the last number counts.
void supervisor::handle_bus()
{
	std::byte *bar = registers_.bytes().data();
	auto acknowledged = shared_word<std::uint64_t>(bar + SVGPU_REG_BUS_ACK);
	eventfd_t rings;

	(void)::eventfd_read(plug_.bells[SVGPU_BELL_BUS].get(), &rings);
	// Acquire: pairs with the driver's release of BUS.
	std::uint64_t asked = shared_word<std::uint64_t>(bar + SVGPU_REG_BUS).load(std::memory_order_acquire);

	if (asked == acknowledged.load(std::memory_order_relaxed))
		return;
	// On after on is off and on: the driver may not have waited for the off.
	kill_worker();
	// What a device left there that is no more: whoever looks for one waits for the next.
	shared_word<std::uint64_t>(bar + SVGPU_REG_MAGIC).store(0, std::memory_order_relaxed);
	bus_on_ = asked % 2 == 0;
	log_("the bus is {}", bus_on_ ? "on" : "off");
	// Release: pairs with the driver's acquire: all that the device wrote to memory was written before.
	acknowledged.store(asked, std::memory_order_release);
	if (bus_on_ && wanted_)
		start_worker();
}

// What the device is to be this time. False: what was asked for makes no sense, and there is no device.
bool supervisor::choose(device_options &device) const
{
	auto read = [this](const std::filesystem::path &file, auto parse, auto &into) {
		std::string text = first_line(file);

		try {
			if (!text.empty())
				into = parse(text);
		} catch (const std::invalid_argument &e) {
			log_("the device is not started: {}: {}", file.string(), e.what());
			return false;
		}
		return true;
	};

	device = options_.device;
	device.patient = true; // a driver tries the device when it binds it
	return read(options_.mmu_file, parse_format, device.format) && read(options_.evil_file, parse_evil, device.evil);
}

void supervisor::start_worker()
{
	pid_t parent = ::getpid();

	if (worker_ || !guest_ || !bus_on_) {
		log_("the device is not started: {}", worker_ ? "it runs" :
						      !guest_ ? "no guest is connected" :
								"the bus is off");
		return;
	}
	worker_options options = options_;

	if (!choose(options.device))
		return;
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
		run_worker(options, plug_, log_);
	} catch (const std::exception &e) {
		log_("the device cannot run: {}", e.what());
		::_exit(1);
	}
}

void supervisor::kill_worker()
{
	int status = 0;

	if (!worker_)
		return;
	::kill(worker_, SIGKILL);
	// Returns when the last of its threads is gone.
	while (::waitpid(worker_, &status, 0) < 0 && errno == EINTR)
		;
	broken_ |= WIFEXITED(status) && WEXITSTATUS(status) == broken_device;
	log_("the device was killed");
	worker_ = 0;
}

void supervisor::reap_worker()
{
	int status;

	if (!worker_ || ::waitpid(worker_, &status, WNOHANG) != worker_)
		return;
	worker_ = 0;
	if (WIFSIGNALED(status)) {
		log_("the device died of signal {}", WTERMSIG(status));
		wanted_ = false;
	} else if (WEXITSTATUS(status) == evil_death) {
		log_("the device died, as a lie");
		start_worker();
	} else {
		log_("the device ended with status {}", WEXITSTATUS(status));
		broken_ |= WEXITSTATUS(status) == broken_device;
		wanted_ = false;
	}
}

} // namespace svgpu
