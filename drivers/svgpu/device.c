// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device as a whole: its registers, the epoch handshake, and how it is
 * given up.
 *
 * @error tells the state. It is -ENODEV until the device acknowledged an epoch,
 * 0 while it works, -EIO once it is wedged, and -ENODEV again if it was stopped
 * in good order. It leaves 0 only once in an epoch, in svgpu_device_wedge() or _stop(),
 * which cut the device off from memory before the error shows. Another epoch begins
 * only after system sleep, where no vm is left of the one before.
 *
 * Wedging happens for one of these reasons only: a sync operation or a ring's
 * room took longer than flush_timeout_ms; a sync operation was refused; a ring index
 * or an acknowledge was impossible; the heartbeat stood still; the device was started
 * again and so lost its state, or says so, or drops its epoch.
 *
 * The device may lie about all of this, also about having stopped. Cut off is
 * what its bus interface says it is (svgpu_regs.h), never what it says itself.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/random.h>

#include <drm/drm_print.h>

#include "svgpu.h"

#define WATCHDOG_MS	500

/* For the bus interface, which is no part of the device: it answers in milliseconds. */
#define BUS_OFF_NS	(10 * (u64)NSEC_PER_SEC)
#define BUS_ON_MS	10000

/* Larger than this is no virtual GPU that we know; smaller are our own pools. */
#define ENGINES_MAX	64
#define CONTEXTS_MAX	65536

/*
 * A device takes no job whose end might find no room in the done ring, and the CLEAR of any
 * queue waits behind those that it has not taken. A queue has one job on the device at a
 * time, so this many queues always find room, and the done ring has it for a device that
 * tells each end twice.
 */
#define QUEUES_MAX	(SVGPU_DONE_ENTRIES / 2)
static_assert(QUEUES_MAX <= SVGPU_JOB_ENTRIES);
static_assert(QUEUES_MAX <= SVGPU_FAULT_ENTRIES);
static_assert(QUEUES_MAX <= SVGPU_REPLY_ENTRIES);

static u64 reg_read(struct svgpu_device *dev, u32 reg)
{
	return readq(dev->bar + reg);
}

/* Wake the device; what was written to BAR2 before is visible to it. */
void svgpu_bell(struct svgpu_device *dev, u32 bell)
{
	/* Write-combined stores reach BAR2 before the doorbell is seen. */
	wmb();
	writel(SVGPU_DEVICE_PEER << 16 | bell,
	       dev->bell + SVGPU_BAR0_DOORBELL);
}

static void write_epoch(struct svgpu_device *dev, u64 epoch)
{
	writeq(epoch, dev->bar + SVGPU_REG_EPOCH);
	svgpu_bell(dev, SVGPU_BELL_SYNC);
}

static void write_bus(struct svgpu_device *dev, u64 number)
{
	writeq(number, dev->bar + SVGPU_REG_BUS);
	svgpu_bell(dev, SVGPU_BELL_BUS);
}

/*
 * On return the device reaches no memory any more, whatever it wants. Any number
 * of callers at a time. Context: any.
 */
static void bus_off(struct svgpu_device *dev)
{
	u64 off = reg_read(dev, SVGPU_REG_BUS_ACK) | 1;
	u64 end = ktime_get_ns() + BUS_OFF_NS;

	pci_clear_master(dev->pdev);
	write_bus(dev, off);
	while (reg_read(dev, SVGPU_REG_BUS_ACK) != off) {
		if (ktime_get_ns() > end) {
			/* As if a bridge ignored its configuration: no driver can do more. */
			dev_crit(&dev->pdev->dev,
				 "its bus does not turn off: it may still write to memory\n");
			return;
		}
		cpu_relax();
	}
	/* All that it wrote is seen from here on: pairs with the release store of BUS_ACK. */
	rmb();
}

/* Starts the device afresh, whatever it was at. Sleeps. Return: 0 or -EIO: none came up. */
static int bus_on(struct svgpu_device *dev)
{
	unsigned long end = jiffies + msecs_to_jiffies(BUS_ON_MS);
	u64 on = (reg_read(dev, SVGPU_REG_BUS_ACK) | 1) + 1;

	write_bus(dev, on);
	do {
		if (reg_read(dev, SVGPU_REG_BUS_ACK) == on &&
		    reg_read(dev, SVGPU_REG_MAGIC) == SVGPU_MAGIC) {
			/* The magic, then what it vouches for: pairs with the device's release. */
			rmb();
			return 0;
		}
		usleep_range(100, 200);
	} while (time_before(jiffies, end));
	dev_err(&dev->pdev->dev, "does not start\n");
	return -EIO;
}

/* Sleeps until the device has acknowledged @epoch; 0 or -ETIMEDOUT. */
static int await_epoch(struct svgpu_device *dev, u64 epoch)
{
	unsigned long end = jiffies + msecs_to_jiffies(svgpu_timeout_ms);

	do {
		if (reg_read(dev, SVGPU_REG_EPOCH_ACK) == epoch)
			return 0;
		usleep_range(100, 200);
	} while (time_before(jiffies, end));
	return reg_read(dev, SVGPU_REG_EPOCH_ACK) == epoch ? 0 : -ETIMEDOUT;
}

/*
 * The second half of wedging, which may sleep: all jobs end, since their reports will not
 * come. Faults that are being served end by themselves; their answers are dropped.
 */
static void wedge_work(struct work_struct *work)
{
	struct svgpu_device *dev =
		container_of(work, struct svgpu_device, wedge_work);

	svgpu_queues_fail_all(dev, -EIO);
}

/**
 * svgpu_device_wedge() - give the device up
 * @dev: the device
 * @why: for the log
 *
 * Cuts it off from memory, ends its jobs with -EIO and makes every later use that
 * would need it -EIO. Only the first call does anything.
 * Context: any; may be called under a table lock and the TLB-queue lock.
 */
void svgpu_device_wedge(struct svgpu_device *dev, const char *why)
{
	if (svgpu_error(dev))
		return;
	/* Asked to stop, and cut off whether it does or not: callbacks go on once @error shows. */
	write_epoch(dev, 0);
	bus_off(dev);
	if (cmpxchg(&dev->svm.error, 0, -EIO))
		return;
	drm_err(&dev->drm, "wedged: %s\n", why);
	queue_work(dev->wq, &dev->wedge_work);
}

static void watchdog_work(struct work_struct *work)
{
	struct svgpu_device *dev =
		container_of(work, struct svgpu_device, watchdog.work);
	u64 beat = reg_read(dev, SVGPU_REG_HEARTBEAT);

	if (svgpu_error(dev))
		return;
	if (reg_read(dev, SVGPU_REG_GENERATION) != dev->generation ||
	    reg_read(dev, SVGPU_REG_EPOCH_ACK) != dev->epoch) {
		svgpu_device_wedge(dev, "it was started again");
		return;
	}
	/* Ticks of ours are counted, not time: a machine that stood still proves nothing. */
	dev->silent_ticks = beat == dev->beat ? dev->silent_ticks + 1 : 0;
	dev->beat = beat;
	if (dev->silent_ticks * WATCHDOG_MS > svgpu_timeout_ms) {
		svgpu_device_wedge(dev, "its heart stands still");
		return;
	}
	/* For an interrupt that was lost. */
	queue_work(dev->wq, &dev->faults.drain_work);
	queue_work(dev->wq, &dev->jobs.drain_work);
	queue_delayed_work(dev->wq, &dev->watchdog,
			   msecs_to_jiffies(WATCHDOG_MS));
}

static int read_geometry(struct svgpu_device *dev)
{
	u64 bar = pci_resource_len(dev->pdev, 2);

	if (readl(dev->bar + SVGPU_REG_VERSION) != SVGPU_VERSION) {
		dev_err(&dev->pdev->dev, "unknown version\n");
		return -ENODEV;
	}
	dev->engines = readl(dev->bar + SVGPU_REG_ENGINES);
	dev->context_count = readl(dev->bar + SVGPU_REG_CONTEXTS);
	dev->queue_count = readl(dev->bar + SVGPU_REG_QUEUES);
	dev->vram_bytes = reg_read(dev, SVGPU_REG_VRAM_SIZE);
	dev->generation = reg_read(dev, SVGPU_REG_GENERATION);
	if (!dev->engines || dev->engines > ENGINES_MAX ||
	    !dev->context_count || dev->context_count > CONTEXTS_MAX ||
	    !dev->queue_count || dev->queue_count > QUEUES_MAX ||
	    dev->vram_bytes > bar - SVGPU_VRAM_OFFSET ||
	    dev->vram_bytes < SZ_64K || dev->vram_bytes % SZ_4K) {
		dev_err(&dev->pdev->dev, "its registers make no sense\n");
		return -EIO;
	}
	return svgpu_format_choose(dev);
}

/**
 * svgpu_device_init() - see whether this is a virtual GPU, and which
 * @dev: with its BARs mapped
 *
 * Return: 0; -ENODEV: another ivshmem device, or one that we cannot drive; -EIO.
 */
int svgpu_device_init(struct svgpu_device *dev)
{
	int ret;

	dev->svm.error = -ENODEV;
	INIT_WORK(&dev->wedge_work, wedge_work);
	INIT_DELAYED_WORK(&dev->watchdog, watchdog_work);
	init_waitqueue_head(&dev->gone);
	xa_init_flags(&dev->queues, XA_FLAGS_ALLOC);

	if (pci_resource_len(dev->pdev, 2) <= SVGPU_VRAM_OFFSET ||
	    reg_read(dev, SVGPU_REG_BUS_MAGIC) != SVGPU_BUS_MAGIC)
		return -ENODEV;
	ret = bus_on(dev);
	if (ret)
		return ret;
	return read_geometry(dev);
}

/* The device's indices are zero when it acknowledges an epoch, and so are ours before. */
static void restart_rings(struct svgpu_device *dev)
{
	svgpu_sync_restart(dev);
	mutex_lock(&dev->jobs.drain_lock);
	dev->jobs.done.index = 0;
	mutex_unlock(&dev->jobs.drain_lock);
	mutex_lock(&dev->jobs.push_lock);
	dev->jobs.ring.index = 0;
	mutex_unlock(&dev->jobs.push_lock);
	mutex_lock(&dev->faults.drain_lock);
	dev->faults.ring.index = 0;
	mutex_unlock(&dev->faults.drain_lock);
	mutex_lock(&dev->faults.reply_lock);
	dev->faults.reply.index = 0;
	mutex_unlock(&dev->faults.reply_lock);
}

/**
 * svgpu_device_start() - begin an epoch
 * @dev: initialised, interrupts requested
 *
 * Context: may sleep.
 * Return: 0; -EIO: the device does not answer; -ENODEV: it does not walk the page tables that it
 * announces; -ENOMEM. It is stopped then.
 */
int svgpu_device_start(struct svgpu_device *dev)
{
	u64 before = reg_read(dev, SVGPU_REG_EPOCH);
	int ret;

	do {
		dev->epoch = get_random_u64();
	} while (!dev->epoch || dev->epoch == before);
	restart_rings(dev);
	write_epoch(dev, dev->epoch);
	if (await_epoch(dev, dev->epoch)) {
		dev_err(&dev->pdev->dev, "does not answer\n");
		write_epoch(dev, 0);
		bus_off(dev);
		return -EIO;
	}
	dev->silent_ticks = 0;
	/* The rings are empty and ours; pairs with the reads of svgpu_error(). */
	smp_store_release(&dev->svm.error, 0);
	queue_delayed_work(dev->wq, &dev->watchdog,
			   msecs_to_jiffies(WATCHDOG_MS));
	ret = svgpu_format_probe(dev);
	if (ret)
		svgpu_device_stop(dev);
	return ret;
}

/**
 * svgpu_device_stop() - end the epoch: no DMA after this
 * @dev: with no vm and no queue left
 *
 * Context: may sleep.
 */
void svgpu_device_stop(struct svgpu_device *dev)
{
	cancel_delayed_work_sync(&dev->watchdog);
	write_epoch(dev, 0);
	if (!svgpu_error(dev) && await_epoch(dev, 0))
		dev_err(&dev->pdev->dev, "did not stop; cut off\n");
	bus_off(dev);
	cmpxchg(&dev->svm.error, 0, -ENODEV);
	flush_work(&dev->wedge_work);
}

/**
 * svgpu_device_restart() - begin anew with a device that was stopped
 * @dev: stopped, without vms; it may have lost all that it knew
 *
 * Context: may sleep.
 * Return: 0; -EIO: it does not come up or is not what it was, and stays stopped.
 */
int svgpu_device_restart(struct svgpu_device *dev)
{
	u32 engines = dev->engines, contexts = dev->context_count;
	u32 queues = dev->queue_count, format = dev->format;
	u64 vram_bytes = dev->vram_bytes;
	int ret;

	ret = bus_on(dev);
	if (!ret)
		ret = read_geometry(dev);
	if (!ret && (engines != dev->engines || contexts != dev->context_count ||
		     queues != dev->queue_count || format != dev->format ||
		     vram_bytes != dev->vram_bytes)) {
		dev_err(&dev->pdev->dev, "came back as another device\n");
		ret = -EIO;
	}
	if (ret) {
		bus_off(dev);
		return -EIO;
	}
	svgpu_vram_forget(dev);
	return svgpu_device_start(dev);
}
