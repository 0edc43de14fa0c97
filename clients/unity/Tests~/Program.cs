using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Threading.Tasks;

namespace GameApi.Tests
{
    /// <summary>Runs every public static method of the test classes, and prints one line for each. An argument selects those whose name has it.</summary>
    internal static class Program
    {
        private static readonly Type[] Suites =
        {
            typeof(PackageTests), typeof(DocumentTests), typeof(ModelTests), typeof(PlayerTests),
            typeof(SessionTests), typeof(ErrorTests), typeof(RetryTests), typeof(AccessTests), typeof(TransportTests),
        };

        private static int Main(string[] args)
        {
            if (args.Length > 0 && args[0] == "example")
            {
                Example.RunAsync().GetAwaiter().GetResult();
                return 0;
            }
            int failed = 0;
            string filter = args.Length > 0 ? args[0] : string.Empty;
            List<MethodInfo> tests = Suites.SelectMany(TestsOf).Where(test => test.Name.Contains(filter)).ToList();
            foreach (MethodInfo test in tests)
            {
                Exception error = RunAsync(test).GetAwaiter().GetResult();
                string name = test.DeclaringType.Name + ": " + test.Name.Replace('_', ' ');
                Console.WriteLine((error == null ? "ok   " : "FAIL ") + name);
                if (error != null)
                {
                    failed++;
                    Console.WriteLine(error);
                }
            }
            Console.WriteLine((tests.Count - failed) + " passed, " + failed + " failed");
            return failed == 0 && tests.Count > 0 ? 0 : 1;
        }

        private static IEnumerable<MethodInfo> TestsOf(Type suite) =>
            suite.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly);

        private static async Task<Exception> RunAsync(MethodInfo test)
        {
            try
            {
                await (Task)test.Invoke(null, null);
                return null;
            }
            catch (TargetInvocationException error)
            {
                return error.InnerException;
            }
            catch (Exception error)
            {
                return error;
            }
        }
    }
}
