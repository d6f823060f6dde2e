"""What happened in a run chemically: bonds, protons, first shells, contacts and temperature, found in one pass over its frames.

An event is what distances say, with hysteresis and persistence (protocol 8). Whether the reference would have it so is a
question for labels; only then is an event called an artefact.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.analysis.bond_events import bonds_after, find_bond_events, metal_shells
from jaxft.analysis.bond_limits import BondSettings, PairLimits, find_limits, frames_to_last, why_not_followed
from jaxft.analysis.bonding import BondChange, Pair, Tracking, limits_of, step, unfinished
from jaxft.analysis.close_contacts import Contact, contact_event, contact_limits, follow_contacts
from jaxft.analysis.event import RUNAWAY_TEMPERATURE, Clock, Event
from jaxft.analysis.frames import Frames, frames_of
from jaxft.analysis.pair_distances import segments
from jaxft.errors import InputError
from jaxft.md.trajectory import Trajectory

NO_FRAMES = "not looked for: there are no frames"
NO_TEMPERATURES = "temperature not looked at: none was given"


@dataclass(frozen=True)
class EventSettings:
    """What counts as an event.

    bonds            limits of bonds, and how long a new state must last
    close_contact    times the sum of covalent radii: nearer atoms are too close (the guards stop a run at 0.5)
    max_temperature  K, kinetic; above it for as long as a bond must last, the temperature has run away
    window_fs        two changes no further apart are one event: a transferred proton, an exchanged ligand
    """

    bonds: BondSettings = field(default_factory=BondSettings)
    close_contact: float = 0.7
    max_temperature: float = 1000.0
    window_fs: float = 500.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.close_contact < 1.0:
            raise InputError(f"close_contact is {self.close_contact}, expected a share of a bond length, 0 to below 1")
        if not self.max_temperature > 0.0 or self.window_fs < 0.0:
            raise InputError(
                f"max_temperature is {self.max_temperature} K and window_fs {self.window_fs}; "
                "expected more than 0, and 0 or more"
            )


@dataclass(frozen=True)
class EventReport:
    """What was found in a trajectory.

    why          why nothing could be looked for; None where it was
    n_frames     looked at, ``frame_fs`` apart
    length_fs    from the first to the last of them
    events       in order of time
    unfinished   what had begun when the frames ended and has not lasted long enough to count; a run that a guard stopped
                 often ends in one
    limits       of bonds, for the elements that there are
    shells_start first shell of each metal atom at the start, like {"Co0": "CoCl3O"}
    shells_end   and at the end, what is unfinished left out
    temperature  why it was not looked at; None where it was
    settings     what counted as an event
    """

    why: str | None
    n_frames: int
    frame_fs: float
    length_fs: float
    events: tuple[Event, ...]
    unfinished: tuple[Event, ...]
    limits: tuple[PairLimits, ...]
    shells_start: Mapping[str, str]
    shells_end: Mapping[str, str]
    temperature: str | None
    settings: EventSettings

    @property
    def counts(self) -> dict[str, int]:
        """Events by kind."""
        return dict(Counter(event.kind for event in self.events))

    @property
    def words(self) -> str:
        """One line. No event in a time T means a rate below 3/T (95 %, protocol 10)."""
        if self.why is not None:
            return self.why
        length = f"{self.length_fs / 1000.0:g} ps"
        if not self.events:
            bound = f", a rate below {3000.0 / self.length_fs:.2g} per ps (95 %)" if self.length_fs > 0.0 else ""
            return f"no event in {length}{bound}"
        kinds = ", ".join(f"{kind}: {n}" for kind, n in self.counts.items())
        return f"{len(self.events)} event{'s' if len(self.events) > 1 else ''} in {length} ({kinds})"


class Snapshots(NamedTuple):
    """Structures of an event: the last of the old state, the first of the new one, and one in which it has lasted."""

    before: Atoms
    at: Atoms
    after: Atoms


def find_events(
    frames: Frames, settings: EventSettings, temperatures: Float[np.ndarray, "frames"] | None = None
) -> EventReport:
    """Look for events in frames that are at most ``settings.bonds.max_spacing_fs`` apart.

    temperatures: kinetic, in K, of all frames from frame 0 on. Where the frames are too far apart, or there are none, the
    report says so. Raises InputError for frames with positions that are not finite, and for a temperature too many.
    """
    bonds, symbols = settings.bonds, frames.symbols
    if temperatures is not None and len(temperatures) < frames.end:
        raise InputError(f"got {len(temperatures)} temperatures for {frames.end} frames, expected one for each")
    why = NO_FRAMES if len(frames) == 0 else why_not_followed(frames.frame_fs, bonds) if len(frames) > 1 else None
    limits = find_limits(frames.numbers, bonds)
    if why is not None:
        return _report(frames, settings, limits, why=why)

    persist = frames_to_last(frames.frame_fs, bonds)
    clock = Clock(frames.first_fs, frames.frame_fs, persist, frames.start, frames.end - 1)
    tracking, changes, contacts = _follow(frames, settings)
    initial, final = tracking.initial, bonds_after(tracking.initial, changes)
    events = find_bond_events(initial, changes, symbols, limits, settings.window_fs, clock)
    events += [contact_event(contact, symbols, clock) for contact in contacts]
    going = find_bond_events(final, unfinished(tracking), symbols, limits, settings.window_fs, clock)
    if temperatures is not None:
        hot, heating = _runaways(np.asarray(temperatures)[frames.start : frames.end], settings.max_temperature, clock)
        events, going = events + hot, going + heating
    return _report(
        frames,
        settings,
        limits,
        events=_in_order(events),
        unfinished=_in_order(going),
        shells_start=metal_shells(initial, symbols, limits),
        shells_end=metal_shells(final, symbols, limits),
        temperature=NO_TEMPERATURES if temperatures is None else None,
    )


def find_trajectory_events(trajectory: Trajectory, settings: EventSettings, start: int = 0) -> EventReport:
    """The same for a trajectory, from frame ``start`` up to where its replica stopped, temperature included."""
    return find_events(frames_of(trajectory, start), settings, trajectory.temperatures)


def snapshots(trajectory: Trajectory, event: Event) -> Snapshots:
    """Structures before, at and after an event, read from the trajectory that it was found in."""
    return Snapshots(*(trajectory.to_atoms(k) for k in (event.frame_before, event.frame, event.frame_after)))


def _follow(frames: Frames, settings: EventSettings) -> tuple[Tracking, list[BondChange], list[Contact]]:
    """One pass over all frames."""
    limits = limits_of(frames.numbers, frames.frame_fs, settings.bonds)
    too_close = contact_limits(frames.numbers, settings.close_contact)
    tracking, changes = Tracking(), []
    going: dict[Pair, Contact] = {}
    contacts: list[Contact] = []
    for segment in segments(frames, np.maximum(limits.broken, too_close)):
        tracking, new = step(tracking, segment, limits)
        changes += new
        going, ended = follow_contacts(going, segment, limits.kinds, too_close, limits.persist)
        contacts += ended
    return tracking, changes, contacts + list(going.values())


def _in_order(events: list[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: (event.frame, event.kind, event.atoms)))


def _runaways(temperatures: Float[np.ndarray, "frames"], limit: float, clock: Clock) -> tuple[list[Event], list[Event]]:
    """Every time that it rises above the limit and lasts there, and likewise comes down in between; and what is unfinished."""
    hot = np.asarray(temperatures) > limit
    begins = [0, *(np.flatnonzero(np.diff(hot)) + 1).tolist()]
    counts = False
    found: list[Event] = []
    going: list[Event] = []
    for begin, end in zip(begins, [*begins[1:], len(hot)], strict=True):
        lasts, state = end - 1 - begin >= clock.persist, bool(hot[begin])
        if state and not counts and (lasts or end == len(hot)):
            event = _runaway(float(temperatures[begin]), limit, clock.first + begin, clock)
            (found if lasts else going).append(event)
        counts = state if lasts else counts
    return found, going


def _runaway(temperature: float, limit: float, frame: int, clock: Clock) -> Event:
    return Event(
        kind=RUNAWAY_TEMPERATURE,
        time_fs=clock.time_fs(frame),
        frame=frame,
        frame_before=max(clock.first, frame - 1),
        frame_after=min(clock.last, frame + clock.persist),
        atoms=(),
        elements=(),
        distance=None,
        temperature=temperature,
        change=None,
        words=f"the temperature rose above {limit:g} K ({temperature:.0f} K)",
    )


def _report(
    frames: Frames,
    settings: EventSettings,
    limits: tuple[PairLimits, ...],
    *,
    why: str | None = None,
    events: tuple[Event, ...] = (),
    unfinished: tuple[Event, ...] = (),
    shells_start: Mapping[str, str] | None = None,
    shells_end: Mapping[str, str] | None = None,
    temperature: str | None = NO_TEMPERATURES,
) -> EventReport:
    return EventReport(
        why=why,
        n_frames=len(frames),
        frame_fs=frames.frame_fs,
        length_fs=max(0, len(frames) - 1) * frames.frame_fs,
        events=events,
        unfinished=unfinished,
        limits=limits,
        shells_start=shells_start or {},
        shells_end=shells_end or {},
        temperature=temperature,
        settings=settings,
    )
