import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.samza.application.TaskApplication;
import org.apache.samza.application.descriptors.TaskApplicationDescriptor;
import org.apache.samza.config.MapConfig;
import org.apache.samza.context.Context;
import org.apache.samza.runtime.LocalApplicationRunner;
import org.apache.samza.serializers.KVSerde;
import org.apache.samza.serializers.StringSerde;
import org.apache.samza.storage.kv.descriptors.RocksDbTableDescriptor;
import org.apache.samza.system.IncomingMessageEnvelope;
import org.apache.samza.system.OutgoingMessageEnvelope;
import org.apache.samza.system.SystemStream;
import org.apache.samza.system.kafka.descriptors.KafkaSystemDescriptor;
import org.apache.samza.table.ReadWriteTable;
import org.apache.samza.task.InitableTask;
import org.apache.samza.task.MessageCollector;
import org.apache.samza.task.StreamTask;
import org.apache.samza.task.StreamTaskFactory;
import org.apache.samza.task.TaskCoordinator;

/**
 * Samza over the data set: how often each file changed, and its newest content, in a RocksDB store with a changelog. At least
 * once: the store knows up to which offset it has counted, so that what comes again changes nothing. Runs until it is killed.
 *
 * <p>Arguments: bootstrap servers, directory of the store, then settings, NAME=VALUE each.
 */
public class NewestFiles implements TaskApplication {
    static final ObjectMapper JSON = new ObjectMapper();
    static final SystemStream OUTPUT = new SystemStream("kafka", "newest");
    static final String STORE = "files";

    final String bootstrap;

    NewestFiles(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] args) {
        Map<String, String> all = new HashMap<>();
        all.put("app.name", "samza");
        all.put("job.default.system", "kafka");
        all.put("job.logged.store.base.dir", args[1]);
        all.put("job.non-logged.store.base.dir", args[1]);
        all.put("task.checkpoint.factory", "org.apache.samza.checkpoint.kafka.KafkaCheckpointManagerFactory");
        for (int n = 2; n < args.length; n++) {
            String[] pair = args[n].split("=", 2);
            all.put(pair[0], pair[1]);
        }
        LocalApplicationRunner runner = new LocalApplicationRunner(new NewestFiles(args[0]), new MapConfig(all));
        runner.run();
        runner.waitForFinish();
        System.exit(1);
    }

    @Override
    public void describe(TaskApplicationDescriptor app) {
        KVSerde<String, String> text = KVSerde.of(new StringSerde(), new StringSerde());
        KafkaSystemDescriptor kafka = new KafkaSystemDescriptor("kafka")
                .withProducerBootstrapServers(List.of(bootstrap))
                .withDefaultStreamConfigs(Map.of("replication.factor", "1"));
        app.withDefaultSystem(kafka);
        app.withInputStream(kafka.getInputDescriptor("files", text));
        app.withOutputStream(kafka.getOutputDescriptor("newest", text));
        app.withTable(new RocksDbTableDescriptor<>(STORE, text).withChangelogEnabled().withChangelogReplicationFactor(1));
        app.withTaskFactory((StreamTaskFactory) Count::new);
    }

    static class Count implements StreamTask, InitableTask {
        ReadWriteTable<String, String> store;

        @Override
        public void init(Context context) {
            store = context.getTaskContext().getTable(STORE);
        }

        @Override
        public void process(IncomingMessageEnvelope in, MessageCollector out, TaskCoordinator coordinator) throws IOException {
            String path = (String) in.getKey();
            long offset = Long.parseLong(in.getOffset());
            String known = store.get(path);
            String[] fields = known == null ? new String[] {"0", "-1"} : known.split(" ");
            if (offset > Long.parseLong(fields[1])) {
                JsonNode file = JSON.readTree((String) in.getMessage());
                known = (Long.parseLong(fields[0]) + 1) + " " + offset + " " + file.path("blob").asText("-");
                store.put(path, known);
            }
            out.send(new OutgoingMessageEnvelope(OUTPUT, path, path + " " + known));
        }
    }
}
