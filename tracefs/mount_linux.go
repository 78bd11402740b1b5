package tracefs

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// MountPrivate mounts tracefs where nobody else sees it and where nothing stays behind: the mount hangs on a file descriptor
// of this process and ends with Close, or with the process however that ends. It needs CAP_SYS_ADMIN.
//
// From 5.2 the mount is never attached anywhere (fsopen, fsmount). Before, it is attached for a moment in a mount
// namespace that only one thread sees, which then ends. On 3.10, which has no tracefs, it is debugfs.
func MountPrivate() (*FS, error) {
	keep, err := mountDetached("tracefs")
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		// EPERM: a seccomp filter that is older than fsopen may answer so.
		var err2 error
		if keep, err2 = mountInNamespace(); err2 != nil {
			return nil, fmt.Errorf("tracefs is not mounted, and mounting it privately failed: %w", err2)
		}
	} else if err != nil {
		return nil, fmt.Errorf("tracefs is not mounted, and mounting it privately failed: %w", err)
	}
	return fromMount(keep)
}

// fromMount makes the FS of a mount's file descriptor. The link in /proc leads into the mount although no path does.
func fromMount(keep *os.File) (*FS, error) {
	root := fmt.Sprintf("/proc/self/fd/%d", keep.Fd())
	for _, root := range []string{root, root + "/tracing"} {
		if ok, _ := isTracing(root); ok {
			return &FS{root: root, keep: keep}, nil
		}
	}
	keep.Close()
	return nil, fmt.Errorf("a private mount of tracefs shows no events; is /proc mounted? %w", unix.ENODEV)
}

func mountDetached(kind string) (*os.File, error) {
	ctx, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(ctx)
	if err := unix.FsconfigCreate(ctx); err != nil {
		return nil, os.NewSyscallError("fsconfig", err)
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsmount", err)
	}
	return os.NewFile(uintptr(fd), kind), nil
}

// mountInNamespace mounts tracefs, or debugfs, in a mount namespace of one thread, takes hold of its root, and lets the thread
// and with it the namespace end.
func mountInNamespace() (*os.File, error) {
	done := make(chan heldMount)
	go mountOnThread(done)
	r := <-done
	return r.root, r.err
}

type heldMount struct {
	root *os.File
	err  error
}

// mountOnThread runs mountHere on a thread that ends with it.
func mountOnThread(done chan<- heldMount) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread must stay what it is: it does not end, and /proc/self shows its namespaces. Hold it while
		// another thread does this.
		inner := make(chan heldMount)
		go mountOnThread(inner)
		r := <-inner
		runtime.UnlockOSThread()
		done <- r
		return
	}
	// Never unlocked: so the thread ends with this goroutine.
	root, err := mountHere()
	done <- heldMount{root, err}
}

// mountHere makes this thread's own mount namespace and mounts tracefs in it.
func mountHere() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, os.NewSyscallError("unshare", err)
	}
	// Without this our mount would spread to the namespace we came from. EINVAL: the root is no mount point (chroot).
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, os.NewSyscallError("mount --make-rprivate /", err)
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	var first error
	for _, kind := range []string{"tracefs", "debugfs"} {
		// Folders that exist in every system; what is mounted there is covered in this namespace only.
		for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug", "/sys", "/proc"} {
			if err := unix.Mount(kind, dir, kind, flags, ""); err != nil {
				if first == nil {
					first = os.NewSyscallError("mount "+kind, err)
				}
				if errors.Is(err, unix.ENODEV) {
					break // this kernel does not know the kind
				}
				continue
			}
			fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			unmountErr := unix.Unmount(dir, unix.MNT_DETACH)
			if err != nil {
				return nil, os.NewSyscallError("open "+dir, err)
			}
			if unmountErr != nil {
				unix.Close(fd)
				return nil, os.NewSyscallError("umount", unmountErr)
			}
			return os.NewFile(uintptr(fd), kind), nil
		}
	}
	return nil, first
}
