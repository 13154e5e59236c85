import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

/**
 * Reads the members of the archives named, through ZipFile (by the directory) or ZipInputStream (from the front):
 * every one, or with -Donly=NAME only that one.
 */
class Reader {
    private static final String ONLY = System.getProperty("only");
    private static final PrintStream OUT =
            new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
    private static final byte[] BUFFER = new byte[1 << 16];

    public static void main(String[] arguments) throws IOException {
        for (int index = 1; index < arguments.length; index++) {
            if (arguments[0].equals("ZipFile")) {
                byDirectory(arguments[index]);
            } else {
                fromTheFront(arguments[index]);
            }
        }
        OUT.flush();
    }

    private static void byDirectory(String path) throws IOException {
        try (ZipFile archive = new ZipFile(path)) {
            for (ZipEntry entry : Collections.list(archive.entries())) {
                if (ONLY != null && !ONLY.equals(entry.getName())) {
                    continue;
                }
                try (InputStream member = archive.getInputStream(entry)) {
                    print(path, entry, member);
                }
            }
        }
    }

    private static void fromTheFront(String path) throws IOException {
        try (ZipInputStream archive = new ZipInputStream(new FileInputStream(path))) {
            for (ZipEntry entry = archive.getNextEntry(); entry != null; entry = archive.getNextEntry()) {
                print(path, entry, archive);
            }
        }
    }

    private static void print(String path, ZipEntry entry, InputStream member) throws IOException {
        CRC32 crc = new CRC32();
        long size = 0;
        for (int read = member.read(BUFFER); read >= 0; read = member.read(BUFFER)) {
            crc.update(BUFFER, 0, read);
            size += read;
        }
        long modified = entry.getLastModifiedTime().toMillis() / 1000;
        OUT.printf("%s\t%d\t%d\t%d\t%s%n", path, crc.getValue(), size, modified, entry.getName());
    }
}
