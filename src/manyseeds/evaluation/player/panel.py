"""The panel beside the scene: what is played, how, and how well."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from manyseeds.evaluation.player.bars import Bars
from manyseeds.evaluation.player.player import NEWEST, Player
from manyseeds.evaluation.player.scene import Post

if TYPE_CHECKING:
    import viser

SPEEDS = {"1/10": 0.1, "1/4": 0.25, "1/2": 0.5, "1": 1.0, "2": 2.0, "4": 4.0}


class Panel:
    """The inputs of viser's panel, in step with a player.

    Args:
        server: viser's.
        player: what the inputs change.
        post: carries out what they ask for.
    """

    def __init__(self, server: "viser.ViserServer", player: Player, post: Post) -> None:
        self._gui, self._player, self._post = server.gui, player, post
        self._bars = Bars()
        self._policies: list[_Policy] = []
        self._command: list[Any] = []
        self._commanded: Any = None
        gui = server.gui
        self._first = gui.add_folder("Policy")
        with gui.add_folder("Play"):
            works = {"Pause": player.toggle, "Step": player.step_alone, "Restart": player.restart, "Next": self._next}
            self._buttons = gui.add_button_group("", tuple(works), hint="keys: space, S, R, N")
            self._buttons.on_click(lambda event: post(works.get(event.target.value, player.toggle)))
            self._episode = gui.add_number("Episode", player.episode, min=0, step=1, hint="as in episodes.csv")
            self._on_update(self._episode, lambda value: player.restart(int(value)))
            names = list(SPEEDS)
            known = next((name for name, speed in SPEEDS.items() if speed == player.speed), "1")
            self._on_update(gui.add_dropdown("Speed", names, initial_value=known), self._set_speed)
            noise = gui.add_checkbox("Noise", player.noise, hint="draw actions as in training")
            self._on_update(noise, lambda value: setattr(player, "noise", bool(value)))
            go_on = gui.add_checkbox("Next at the end", player.next_episode, hint="or play on without end")
            self._on_update(go_on, lambda value: setattr(player, "next_episode", bool(value)))
            beside = gui.add_checkbox(
                "Second policy", len(player.choices) > 1, hint="play another policy beside the first"
            )
            self._on_update(beside, lambda value: player.beside(bool(value)))
        self._second = gui.add_folder("Second policy")
        self._target = gui.add_folder("Command", visible=False)
        self._scores = gui.add_html("")
        commands: tuple[tuple[str, Any, Callable[[], None]], ...] = (
            ("Pause or go on", "space", player.toggle),
            ("Step", "S", player.step_alone),
            ("Restart", "R", player.restart),
            ("Next episode", "N", self._next),
        )
        for label, key, work in commands:
            gui.add_command(label, hotkey=key).on_trigger(lambda event, work=work: post(work))
        self.update()

    def update(self) -> None:
        """Show what the player does now."""
        player = self._player
        while len(self._policies) < len(player.choices):
            place = len(self._policies)
            with self._second if place else self._first:
                self._policies.append(_Policy(self._gui, player, place, self._post))
        while len(self._policies) > len(player.choices):
            self._policies.pop().remove()
        self._second.visible = len(player.choices) > 1
        for policy in self._policies:
            policy.update()
        _set(self._buttons, "options", ("Play" if player.paused else "Pause", "Step", "Restart", "Next"))
        _set(self._episode, "value", player.episode)
        self._update_command()
        _set(self._scores, "content", self._bars.html(player.simulations))

    def _update_command(self) -> None:
        """Give a slider to each number of a command that nothing in the scene shows."""
        simulation = next(iter(self._player.simulations), None)
        if simulation is not self._commanded:
            for slider in self._command:
                slider.remove()
            self._command, self._commanded = [], simulation
            hidden = simulation is not None and simulation.task.show is None and simulation.task.command_width > 0
            self._target.visible = hidden
            if simulation is not None and hidden:
                with self._target:
                    limits = zip(*simulation.command_ranges(), strict=True)
                    for place, (name, (low, high)) in enumerate(zip(simulation.command_names(), limits, strict=True)):
                        self._command.append(self._add_slider(name, place, float(low), float(high)))
        for slider, value in zip(self._command, simulation.command.tolist() if simulation else [], strict=False):
            _set(slider, "value", round(value, 4))

    def _add_slider(self, name: str, place: int, low: float, high: float) -> Any:
        slider = self._gui.add_number(name, low, step=max((high - low) / 100, 1e-4), hint=f"{low:.3g} to {high:.3g}")

        def changed(value: Any) -> None:
            command = self._player.simulations[0].command
            command[place] = float(value)
            self._player.set_command(command)

        self._on_update(slider, changed)
        return slider

    def _next(self) -> None:
        self._player.restart(self._player.episode + 1)

    def _set_speed(self, value: str) -> None:
        self._player.speed = SPEEDS[value]

    def _on_update(self, handle: Any, work: Callable[[Any], None]) -> None:
        _on_update(handle, self._post, work)


class _Policy:
    """The inputs that choose the run and the checkpoint of one policy."""

    def __init__(self, gui: Any, player: Player, place: int, post: Post) -> None:
        self._player, self._place = player, place
        choice = player.choices[place]
        self._run = gui.add_dropdown("Run", list(player.runs), initial_value=choice.run)
        self._checkpoint = gui.add_dropdown("Checkpoint", choice.checkpoints(), initial_value=choice.checkpoint)
        self._problem = gui.add_markdown("")
        _on_update(self._run, post, lambda name: player.choose(place, name))
        _on_update(self._checkpoint, post, lambda name: player.choose(place, player.choices[place].run, name))

    def update(self) -> None:
        choice = self._player.choices[self._place]
        # A list that lost its value would choose another one by itself, so the value that is in both lists comes first.
        _set(self._run, "options", tuple(self._player.runs))
        _set(self._run, "value", choice.run)
        names = tuple(choice.checkpoints())
        if names != self._checkpoint.options:
            self._checkpoint.value = NEWEST
            self._checkpoint.options = names
        if choice.checkpoint in names:
            _set(self._checkpoint, "value", choice.checkpoint)
        _set(self._problem, "content", _plain(choice.problem))
        self._problem.visible = bool(choice.problem)

    def remove(self) -> None:
        for handle in (self._run, self._checkpoint, self._problem):
            handle.remove()


def _on_update(handle: Any, post: Post, work: Callable[[Any], None]) -> None:
    """Do something when a person changes an input; what `update` sets is no such change."""

    @handle.on_update
    def _(event: Any) -> None:
        if event.client_id is not None:
            value = handle.value
            post(lambda: work(value))


def _set(handle: Any, name: str, value: Any) -> None:
    """Set what differs: everything that is set is sent to the browser."""
    if getattr(handle, name) != value:
        setattr(handle, name, value)


def _plain(text: str) -> str:
    """Return Markdown that shows a text as it is."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+-.!|&~" else letter for letter in text)
