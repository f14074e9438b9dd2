"""Every figure that the made-up carrier rests on, in one place; all are assumptions (est.) unless domain.md has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from watchbill.core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class HonestStress:
    """Innocent things that look guilty. Rates; 0 switches one off.

    Args:
        surge: factor on orders on the surge days (1 = no surge; domain.md: 2-3).
        surge_days: length of the surge.
        cover: share of outlet-days on which a neighbour's courier and service clerk begin to help out.
        cover_without_ticket: share of those covers that nobody wrote a cover ticket for.
        merger: share of outlets that are merged into a neighbour during the world.
        new_hire: share of accounts that begin during the world.
        leaver: share of accounts that end during the world (honest: no looks afterwards).
        temp: share of couriers that are temporary staff.
        new_handset: share of couriers that change their handset during the world.
        night_shift: share of hub and hotline staff on nights.
        batch_clearing: share of problem parcels cleared in one sitting in the evening.
        repeat: chance that a look is repeated (no answer).
        late_scan: share of scans that reach the log late.
        late_scan_hours: mean lateness of those.
        feed_down: chance that an outlet's scan feed goes down once for some hours.
        feed_down_hours: longest outage.
        ticket_unnamed: share of looks under a ticket that do not name it (the ticket is still in the log).
        no_reason: mean share of first looks without any visible reason (forgot the ticket, misread the number).
        no_reason_rho: correlation of that share within an account and day (detection.md 2: .05).
        roster_missing: share of accounts that the roster never lists.
        roster_late: share of accounts whose roster row begins days after they started to work.
        shared_number: share of small outlets whose service number is used by several persons.
        travel: share of desk staff who travel for some days and work from another city.
        vpn: share of headquarters' accounts that come by VPN on half of their days.
        overtime: share of account-days whose planned shift ends three hours before the work does.
        feed_day: share of places whose scan feed is down for one whole day, the same day for all.
        clock_skew: share of places whose scanners' clock is wrong.
        clock_skew_minutes: largest error of those clocks either way (under 5, beyond which records are refused).
        app_reinstall: share of couriers whose device id changes on one day, when the app is installed anew.
        mass_return: share of parcels refused, of those ordered on two days (0: as always).
        temp_wave: share of couriers who are temporary and begin within one week.
        tickets_lost_hours: hours of one day whose tickets never reach the log.
        no_out_scans: share of outlets that never report parcels out for delivery.
        no_tickets: share of outlets whose service desk has no ticket system.
        long_leave: share of accounts silent for two thirds of the world (10 days at least), who then come back.
    """

    surge: float = 2.3
    surge_days: int = 2
    cover: float = 0.01
    cover_without_ticket: float = 0.15
    merger: float = 0.02
    new_hire: float = 0.03
    leaver: float = 0.02
    temp: float = 0.08
    new_handset: float = 0.03
    night_shift: float = 0.3
    batch_clearing: float = 0.8
    repeat: float = 0.12
    late_scan: float = 0.015
    late_scan_hours: float = 2.5
    feed_down: float = 0.05
    feed_down_hours: float = 8.0
    ticket_unnamed: float = 0.4
    no_reason: float = 0.015
    no_reason_rho: float = 0.05
    roster_missing: float = 0.0
    roster_late: float = 0.005
    shared_number: float = 0.3
    long_leave: float = 0.01
    travel: float = 0.005
    vpn: float = 0.1
    overtime: float = 0.03
    feed_day: float = 0.0
    clock_skew: float = 0.0
    clock_skew_minutes: float = 4.0
    app_reinstall: float = 0.0
    mass_return: float = 0.0
    temp_wave: float = 0.0
    tickets_lost_hours: float = 0.0
    no_out_scans: float = 0.0
    no_tickets: float = 0.0

    @staticmethod
    def none() -> HonestStress:
        """The plain world: nothing innocent that looks guilty."""
        return HonestStress(
            surge=1.0, cover=0, merger=0, new_hire=0, leaver=0, temp=0, new_handset=0, night_shift=0, batch_clearing=0,
            repeat=0, late_scan=0, feed_down=0, ticket_unnamed=0, no_reason=0, roster_missing=0, roster_late=0,
            shared_number=0, long_leave=0, travel=0, vpn=0, overtime=0,
        )  # fmt: skip

    @staticmethod
    def scenario(name: str) -> HonestStress:
        """A named kind of bad week, as `SCENARIOS` lists them.

        Raises:
            SettingsError: there is no such scenario.
        """
        if name not in SCENARIOS:
            raise SettingsError("no such stress", where=name, todo=f"one of: {', '.join(SCENARIOS)}")
        return SCENARIOS[name]


SCENARIOS: Final[Mapping[str, HonestStress]] = {
    "usual": HonestStress(),
    "peak_days": HonestStress(surge=3.0, surge_days=4),
    "covering": HonestStress(cover=0.2, cover_without_ticket=0.3),
    "merger": HonestStress(merger=0.3),
    "feed_outage_day": HonestStress(feed_day=0.5),
    "feed_outage_hours": HonestStress(feed_down=0.8),
    "late_scans": HonestStress(late_scan=0.15, late_scan_hours=5.0),
    "clock_skew": HonestStress(clock_skew=0.4),
    "new_handsets": HonestStress(new_handset=0.3),
    "app_reinstall": HonestStress(app_reinstall=0.6),
    "night_shift": HonestStress(night_shift=0.6, overtime=0.2),
    "mass_return": HonestStress(mass_return=0.15),
    "shared_numbers": HonestStress(shared_number=1.0),
    "temp_staff_week": HonestStress(temp_wave=0.3),
    "tickets_lost": HonestStress(tickets_lost_hours=6.0),
    "feed_never_existed": HonestStress(no_out_scans=0.3, no_tickets=0.3),
    "travel_and_vpn": HonestStress(travel=0.2, vpn=0.6),
    "long_leaves": HonestStress(long_leave=0.1),
    "roster_gaps": HonestStress(roster_missing=0.05, roster_late=0.05),
}
"""Bad weeks by name, each one thing far worse than usual and everything else as always; `usual` is the default."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each thing happens to a parcel (chances), and sizes of the carrier (est., see domain.md's table)."""

    couriers_mean: float = 5.0
    couriers_sigma: float = 0.5
    courier_parcels_median: float = 100.0
    courier_parcels_sigma: float = 0.5
    courier_parcels_max: float = 600.0
    parcels_per_service: float = 450.0
    held_per_clerk: float = 220.0
    parcels_per_hub_worker: float = 450.0
    hotline_looks_day: float = 120.0
    claims_looks_day: float = 45.0
    same_city: float = 0.2
    held: float = 0.45
    problem: float = 0.03
    refused: float = 0.004
    rerouted: float = 0.005
    cancelled: float = 0.004
    shop_sender: float = 0.75
    courier_look: float = 0.85
    courier_phone_only: float = 0.45
    courier_masked: float = 0.15
    courier_list: float = 0.03
    pickup_look: float = 0.5
    service_look: float = 0.1
    origin_service_look: float = 0.05
    service_masked: float = 0.06
    service_list: float = 0.03
    problem_look: float = 0.9
    clerk_look: float = 0.8
    hub_look: float = 0.025
    label_print: float = 0.3
    notice: float = 1.0
    call_outlet: float = 0.04
    call_hotline: float = 0.03
    complaint_ticket: float = 0.006
    change_ticket: float = 0.004
    claim: float = 0.004
    claim_looks: int = 4
    incidents_day: float = 1.2
    legal_every_days: int = 4
    legal_parcels: int = 40
    scam_complaint: float = 0.00005
    victim_complaint: float = 0.02
    login_failure: float = 0.03
    canary_every: int = 200
    weekly: float = 0.12
    return_look: float = 0.3
    hub_scanner_read: float = 0.02
    handset_reads: float = 0.3
    handset_read: float = 0.1
    handset_early: float = 0.25
    label_desk: float = 0.04
    service_export: float = 0.12
    claims_export: float = 0.3


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """One world, fully described: the same settings give the same bytes. `weekday` is that of the first day (Monday 0)."""

    seed: int
    days: int
    outlets: int
    scale: float = 1.0
    uuid_ids: bool = False
    weekday: int = 0
    stress: HonestStress = field(default_factory=HonestStress)
    rates: Rates = field(default_factory=Rates)
    warm_days: int = 5
    tail_days: int = 14

    def day_index(self, day: int) -> int:
        """Column of a day (may be before the start) in the day matrices."""
        return min(max(day + self.warm_days, 0), self.width - 1)

    @property
    def width(self) -> int:
        """Columns of the day matrices: days before, in and after the world."""
        return self.warm_days + self.days + self.tail_days
