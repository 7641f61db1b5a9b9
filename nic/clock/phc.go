package clock

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoPHC says that an interface has no PTP hardware clock: virtual interfaces have none.
var ErrNoPHC = errors.New("no PTP hardware clock (ptp.phc)")

// PHCEvery is how often a PHC must be sampled.
const PHCEvery = 250 * time.Millisecond

// PHC is the PTP hardware clock of an interface, and its conversion to UTC. Convert is for any goroutine; Check, or Keep,
// for one.
type PHC struct {
	*Fit
	face    string
	index   int
	file    *os.File
	precise atomic.Bool // the NIC gives both clocks at the same moment
	kept    atomic.Bool // somebody steers it: its frequency is not the one it was born with
}

// OpenPHC finds the clock of an interface (/dev/ptpN) and takes first samples, which takes half a millisecond. The error
// wraps ErrNoPHC when there is none.
func OpenPHC(face string, o FitOptions) (*PHC, error) {
	info, err := stamping(face, func(fd int) (*unix.EthtoolTsInfo, error) { return unix.IoctlGetEthtoolTsInfo(fd, face) })
	if err != nil {
		return nil, fmt.Errorf("clock: %s: what it can stamp: %w", face, err)
	}
	if info.Phc_index < 0 {
		return nil, fmt.Errorf("clock: %s: %w", face, ErrNoPHC)
	}
	path := fmt.Sprintf("/dev/ptp%d", info.Phc_index)
	file, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("clock: %s: its hardware clock: %w (the unit needs DeviceAllow=%s r, the user a group that may read it)", face, err, path)
	}
	p := &PHC{Fit: NewFit(o), face: face, index: int(info.Phc_index), file: file}
	p.precise.Store(true)
	for range fitTrust {
		if err := p.Check(); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return p, nil
}

// Check takes a sample. Four times a second.
func (p *PHC) Check() error {
	s, err := p.sample()
	if err != nil {
		p.Refused()
		return fmt.Errorf("clock: %s: reading %s: %w", p.face, p.file.Name(), err)
	}
	var system, own unix.Timex
	_, _ = unix.Adjtimex(&system)
	if _, err := unix.ClockAdjtime(unix.FdToClockID(int(p.file.Fd())), &own); err == nil {
		p.kept.Store(own.Freq != 0)
	}
	p.Add(s, int(system.Tai))
	return nil
}

// Keep checks until done is closed, and tells of failures, once for each that is new.
func (p *PHC) Keep(done <-chan struct{}, tell func(error)) {
	tick := time.NewTicker(PHCEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			err := p.Check()
			if err != nil && !failing {
				tell(err)
			}
			failing = err != nil
		}
	}
}

// sample reads both clocks: at the same moment where the NIC can, else the best of ten.
func (p *PHC) sample() (PHCSample, error) {
	fd := int(p.file.Fd())
	if p.precise.Load() {
		o, err := unix.IoctlPtpSysOffsetPrecise(fd)
		if err == nil {
			return PHCSample{PHC: ptpNs(o.Device), Host: ptpNs(o.Realtime)}, nil
		}
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EINVAL) {
			return PHCSample{}, err
		}
		p.precise.Store(false)
	}
	const tries = 10
	o, err := unix.IoctlPtpSysOffsetExtended(fd, tries)
	if err != nil {
		return PHCSample{}, err
	}
	return bestOf(o.Ts[:min(tries, len(o.Ts))])
}

// bestOf takes the look with the smallest window between the system's clock before and after. Looks during which that clock
// was set are none.
func bestOf(looks [][3]unix.PtpClockTime) (PHCSample, error) {
	best := PHCSample{Window: math63}
	for _, l := range looks {
		before, phc, after := ptpNs(l[0]), ptpNs(l[1]), ptpNs(l[2])
		if w := after - before; after >= before && phc != 0 && w < best.Window {
			best = PHCSample{PHC: phc, Host: before + w/2, Window: w}
		}
	}
	if best.PHC == 0 {
		return best, errors.New("no look at it made sense")
	}
	return best, nil
}

const math63 = 1<<63 - 1

func ptpNs(t unix.PtpClockTime) uint64 { return uint64(t.Sec)*1e9 + uint64(t.Nsec) }

// Interface is the one that the clock was found by.
func (p *PHC) Interface() string { return p.face }

// Index is N of /dev/ptpN: interfaces with the same one share a clock.
func (p *PHC) Index() int { return p.index }

// Source says what stamps are converted by, such as "/dev/ptp0 in TAI, 12 ns off the system's clock". Any goroutine.
func (p *PHC) Source() string {
	how := ""
	if !p.kept.Load() {
		how = ", steered by nobody"
	}
	var system unix.Timex
	if state, err := unix.Adjtimex(&system); err == nil && (state == unix.TIME_ERROR || system.Status&unix.STA_UNSYNC != 0) {
		how += "; the system's clock is not synchronised (time.sanity)"
	}
	return p.file.Name() + " " + p.Describe() + how
}

// Close gives the device back. Nobody may be checking.
func (p *PHC) Close() error { return p.file.Close() }

// StampsAll says whether the NIC stamps every packet that it receives, as somebody has told it to.
func StampsAll(face string) bool {
	is, err := stamping(face, func(fd int) (*unix.HwTstampConfig, error) { return unix.IoctlGetHwTstamp(fd, face) })
	return err == nil && is.Rx_filter == unix.HWTSTAMP_FILTER_ALL
}

// StampAll has the NIC stamp every packet that it receives (SIOCSHWTSTAMP, filter ALL), unless it does so already. It says
// whether it changed anything: some drivers reset their queues then. It takes CAP_NET_ADMIN, and ptp4l must leave the filter
// alone (hwts_filter full or check), or it narrows it when it starts.
func StampAll(face string) (changed bool, err error) {
	is, err := stamping(face, func(fd int) (*unix.HwTstampConfig, error) { return unix.IoctlGetHwTstamp(fd, face) })
	if err == nil && is.Rx_filter == unix.HWTSTAMP_FILTER_ALL {
		return false, nil
	}
	want := unix.HwTstampConfig{Tx_type: unix.HWTSTAMP_TX_OFF, Rx_filter: unix.HWTSTAMP_FILTER_ALL}
	if err == nil {
		want.Flags, want.Tx_type = is.Flags, is.Tx_type // ptp4l's
	}
	_, err = stamping(face, func(fd int) (struct{}, error) { return struct{}{}, unix.IoctlSetHwTstamp(fd, face, &want) })
	switch {
	case errors.Is(err, unix.ERANGE):
		return false, fmt.Errorf("clock: %s: its NIC does not stamp every packet, only PTP's: %w; the kernel's stamps are used", face, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return false, fmt.Errorf("clock: %s: its driver stamps nothing: %w; the kernel's stamps are used", face, err)
	case errors.Is(err, unix.EPERM):
		return false, fmt.Errorf("clock: %s: stamping may not be turned on: %w: it takes CAP_NET_ADMIN; or have ptp4l do it (hwts_filter full)", face, err)
	case err != nil:
		return false, fmt.Errorf("clock: %s: turning stamps on: %w", face, err)
	case want.Rx_filter != unix.HWTSTAMP_FILTER_ALL:
		return true, fmt.Errorf("clock: %s: its NIC stamps some packets only (filter %d); the kernel's stamps are used for the others (ptp.rxfilter)", face, want.Rx_filter)
	}
	return true, nil
}

// stamping asks an interface through a socket: the ioctls of interfaces need one, whichever.
func stamping[T any](face string, ask func(fd int) (T, error)) (none T, err error) {
	if len(face) >= unix.IFNAMSIZ {
		return none, fmt.Errorf("interface name %q is too long", face)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return none, err
	}
	defer unix.Close(fd)
	return ask(fd)
}
