package bench;

import java.util.ArrayList;
import java.util.List;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** Spring Boot with Spring Session over Redis, all by its defaults. */
@SpringBootApplication
public class App {
    public static void main(String[] args) {
        SpringApplication.run(App.class, joined(args));
    }

    /** The other apps are told {@code --port 1}; Spring reads {@code --port=1}. */
    private static String[] joined(String[] args) {
        List<String> joined = new ArrayList<>();
        for (int at = 0; at + 1 < args.length; at += 2) {
            joined.add(args[at] + "=" + args[at + 1]);
        }
        return joined.toArray(String[]::new);
    }
}
