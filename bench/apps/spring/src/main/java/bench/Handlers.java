package bench;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpSession;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

/** What every compared app answers. */
@RestController
public class Handlers {
    private static final String NAME = "Ada Lovelace";

    private final AtomicLong last = new AtomicLong();

    @GetMapping("/unused")
    String unused() {
        return NAME;
    }

    @GetMapping("/seed")
    String seed(HttpSession session) {
        session.setAttribute("user_id", 8731204L);
        session.setAttribute("name", NAME);
        session.setAttribute("roles", new ArrayList<>(List.of("customer", "reviewer")));
        session.setAttribute("cart", cart());
        session.setAttribute("csrf", "3vKx0hJ5mQeZr8TtYw1nUaLc6bDfGiPoSkNlMzXvBqR");
        return "seeded";
    }

    @GetMapping("/read")
    String read(HttpSession session) {
        String name = (String) session.getAttribute("name");
        if (name == null) {
            throw new ResponseStatusException(HttpStatus.NOT_FOUND);
        }
        return name;
    }

    @GetMapping("/write")
    String write(HttpSession session) {
        session.setAttribute("step", last.incrementAndGet());
        return "written";
    }

    @GetMapping("/login")
    String login(HttpServletRequest request) {
        request.getSession();
        request.changeSessionId();
        request.getSession().setAttribute("principal", "user-" + last.incrementAndGet());
        return "signed in";
    }

    @GetMapping("/contended")
    String contended(HttpSession session) {
        session.setAttribute("counter", counted(session) + 1);
        return "counted";
    }

    @GetMapping("/counter")
    String counter(HttpSession session) {
        return Long.toString(counted(session));
    }

    private static long counted(HttpSession session) {
        Long counter = (Long) session.getAttribute("counter");
        return counter == null ? 0 : counter;
    }

    private static ArrayList<Line> cart() {
        return new ArrayList<>(List.of(
                new Line("BK-20417", "The Analytical Engine, first edition", 1, 3499),
                new Line("BK-11830", "Notes on Bernoulli Numbers, annotated", 2, 1850),
                new Line("ST-00092", "Punched cards, brass-bound, box of 500", 3, 1275),
                new Line("ST-00101", "Fountain pen, black, gold nib", 1, 8900)));
    }
}
