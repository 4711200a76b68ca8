// SPDX-License-Identifier: GPL-2.0-only
// Bells that remember one ring.
#include "model/local_transport.hpp"

namespace svgpu {

void local_transport::signal::ring()
{
	std::lock_guard hold(lock_);

	pending_ = true;
	rung_.notify_one();
}

bool local_transport::signal::wait(std::chrono::milliseconds timeout)
{
	std::unique_lock hold(lock_);
	auto is_pending = [this] { return pending_; };

	if (timeout < std::chrono::milliseconds::zero())
		rung_.wait(hold, is_pending);
	else if (!rung_.wait_for(hold, timeout, is_pending))
		return false;
	pending_ = false;
	return true;
}

} // namespace svgpu
